"""Joins what rustdoc's JSON says of several crates of a workspace into one description."""


def merged(root, crates):
    """The description of the crate `root`, with the items of the other crates in place of references to them.

    rustdoc describes a crate alone: of another crate's item that it re-exports it holds the path and no more. Here the
    items of all crates get numbers that differ, and references to another crate's item become its number."""
    offsets, next_number = {}, 0
    for name, crate in crates.items():
        offsets[name] = next_number
        next_number += 1 + max(int(number) for number in [*crate["index"], *crate["paths"]])
    local = {name: local_items(crate, offsets[name]) for name, crate in crates.items()}
    index, paths = {}, {}
    for name, crate in crates.items():
        numbers = renumbering(crate, offsets[name], local)
        index |= {str(numbers(item["id"])): renumbered(item, numbers) for item in crate["index"].values()}
        paths |= {str(numbers(int(number))): summary for number, summary in crate["paths"].items()}
    return {**crates[root], "root": crates[root]["root"] + offsets[root], "index": index, "paths": paths}


def key(summary):
    return summary["kind"], tuple(summary["path"])


def local_items(crate, offset):
    """The new numbers of a crate's own items, by kind and path."""
    return {
        key(summary): int(number) + offset
        for number, summary in crate["paths"].items()
        if summary["crate_id"] == 0 and number in crate["index"]
    }


def renumbering(crate, offset, local):
    """The function from a number in a crate's description to the number in the joined one."""
    elsewhere = {}
    for number, summary in crate["paths"].items():
        if summary["crate_id"] != 0:
            name = crate["external_crates"][str(summary["crate_id"])]["name"]
            found = local.get(name, {}).get(key(summary))
            if found is not None:
                elsewhere[int(number)] = found
    return lambda number: elsewhere.get(number, number + offset)


def renumbered(item, numbers):
    """An item with new numbers. All whole numbers of its `inner` are those of items."""
    return {
        **item,
        "id": numbers(item["id"]),
        "links": {text: numbers(number) for text, number in item["links"].items()},
        "inner": within(item["inner"], numbers),
    }


def within(value, numbers):
    if isinstance(value, dict):
        return {name: within(part, numbers) for name, part in value.items()}
    if isinstance(value, list):
        return [within(part, numbers) for part in value]
    return numbers(value) if isinstance(value, int) and not isinstance(value, bool) else value
