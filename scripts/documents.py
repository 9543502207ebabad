#!/usr/bin/env python3
"""What documents tell a reader to do, and what can be checked of them without a build."""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Commands that would run the tests again.
LEFT_OUT = {"scripts/test"}

# The most lines that a document may have, so that it is read.
LONGEST = {"README.md": 110, "ARCHITECTURE.md": 250}


class Command:
    """A command of a document, with the output that is shown for it."""

    def __init__(self, text, serves=False):
        self.text = text
        self.output = []
        # Whether it is left running until the document ends, in a terminal of its own.
        self.serves = serves


class File:
    """A file that a document shows: a block behind a line that has its name alone."""

    def __init__(self, name, text):
        self.name = name
        self.text = text


def steps(document):
    """The commands of all console blocks, and the files, in order."""
    found = []
    block = r"^(?:(?<=\n\n)`(?P<name>[^`\n]+)`:\n\n)?```(?P<language>\w+)(?P<mark>[^\n]*)\n(?P<text>.*?)^```"
    for match in re.finditer(block, document, re.MULTILINE | re.DOTALL):
        if match["language"] == "console":
            found += commands(match["text"], match["mark"].strip() == "serves")
        elif match["name"]:
            found.append(File(match["name"], match["text"]))
    return found


def commands(block, serves):
    found, continued = [], False
    for line in block.splitlines():
        if continued:
            found[-1].text += "\n" + line
        elif line.startswith("$ "):
            found.append(Command(line[2:], serves))
        else:
            found[-1].output.append(line)
        continued = line.endswith("\\") and (continued or line.startswith("$ "))
    return [command for command in found if command.text not in LEFT_OUT]


def documents():
    """The paths of all documents of the repository, README.md first."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    names = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    return sorted(names, key=lambda name: (name != "README.md", name))


def with_commands():
    """The documents that tell a reader to run something."""
    return [name for name in documents() if any(isinstance(step, Command) for step in steps((ROOT / name).read_text()))]


def prose(text):
    """A document without its blocks and spans of code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text):
    """What a link into a document can lead to: its headings, as hosting sites name them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def broken_links(name):
    """The relative links of a document that lead nowhere."""
    text = (ROOT / name).read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"{name}: the link {link} leads to no file"
        elif anchor and anchor not in anchors(target.read_text()):
            yield f"{name}: the link {link} leads to no heading"


def missing_paths():
    """The paths of the map in ARCHITECTURE.md that are not there. Those without a folder lie in src/."""
    table = re.search(r"^## Where things live\n(.*?)^## ", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        for path in re.findall(r"`([^`]+)`", cell):
            if not (ROOT / path).exists() and not (ROOT / "src" / path).exists():
                yield f"ARCHITECTURE.md: there is no {path}"


def too_long():
    """The documents that have more lines than they may."""
    for name, most in LONGEST.items():
        lines = len((ROOT / name).read_text().splitlines())
        if lines > most:
            yield f"{name} has {lines} lines, and may have {most}"


def untested_programs():
    """The pages whose programs are not compiled: src/lib.rs has those that are."""
    included = (ROOT / "src" / "lib.rs").read_text()
    for name in documents():
        programs = re.search(r"^```rust(?!,ignore)", (ROOT / name).read_text(), re.MULTILINE)
        if programs and not name.startswith("crates/") and f'include_str!("../{name}")' not in included:
            yield f"{name} has programs in Rust, which src/lib.rs does not compile"


def missing_features():
    """The commands that run an example without a feature that it needs and that is not on by default."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    needs = {example["name"]: set(example["required-features"]) for example in manifest["example"]}
    given = manifest["features"]
    shown = [ROOT / name for name in documents()] + [path for path in (ROOT / "examples").rglob("*") if path.suffix in {".rs", ".yaml"}]
    for path in shown:
        for options, example in re.findall(r"cargo run([^`\n]*) --example (\w+)", path.read_text()):
            features = {"default", *re.findall(r"--features ([\w,-]+)", options)}
            features = {feature for name in features for feature in name.split(",")}
            for _ in given:
                features |= {feature for name in features for feature in given.get(name, [])}
            for feature in sorted(needs.get(example, set()) - features):
                yield f"{path.relative_to(ROOT)}: the example {example} needs the feature {feature}"


def unexplained_defects():
    """The numbers of tests that docs/seed-defects.md does not explain."""
    explained = set(re.findall(r"^\| (\d\d)\b", (ROOT / "docs" / "seed-defects.md").read_text(), re.MULTILINE))
    named = subprocess.run(
        ["git", "grep", "-hoE", "fn seed_defect_[0-9]+", "--", "*.rs"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    for number in sorted(set(re.findall(r"\d+", named)) - explained):
        yield f"docs/seed-defects.md does not explain the number {number}"


def unlisted_decisions():
    """The decisions that the index does not have."""
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    numbers = {}
    for path in sorted(folder.glob("[0-9]*.md")):
        if f"({path.name})" not in index:
            yield f"docs/decisions/README.md does not list {path.name}"
        if numbers.setdefault(path.name[:4], path.name) != path.name:
            yield f"docs/decisions: {path.name} and {numbers[path.name[:4]]} have the same number"


def main():
    faults = [fault for name in documents() for fault in broken_links(name)]
    faults += [*missing_paths(), *too_long(), *untested_programs(), *missing_features(), *unexplained_defects(), *unlisted_decisions()]
    for fault in faults:
        print(f"scripts/documents.py: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
