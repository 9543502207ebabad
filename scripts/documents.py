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

# The most blocks that may be neither run nor compiled. Each of them says why: <!-- not run: REASON --> before the block.
MOST_NOT_RUN = 10

# What a document says is typed first in each new terminal.
NEW_TERMINAL = re.compile(r"\bIn\s+each\s+new\s+terminal\b[^`]*`([^`\n]+)`")

# Files that programs read by themselves: a command that follows need not name them.
READ_UNNAMED = re.compile(r"Cargo\.toml|src/.*|.*wasmcloud\.toml")


class Block:
    """A block of code of a document."""

    def __init__(self, match):
        language = match["language"].split()
        # Such as `rust`, `no_run`.
        self.language, *self.options = re.split(r",", language[0]) if language else [""]
        self.is_server = language[1:] == ["serves"]
        # The file that it is: its name stands alone on the line above.
        self.name = match["name"]
        # Why it is neither run nor compiled.
        self.reason = match["reason"]
        # The file of the repository that it is a part of.
        self.whole = match["whole"]
        self.text = match["text"]
        self.start, self.end = match.span()

    def __str__(self):
        first = self.text.split("\n", 1)[0].strip()
        return f"the block of {self.language or 'no language'} that begins with {first!r}"


def blocks(document):
    """The blocks of code of a document, in order."""
    before = r"(?:(?<=\n\n)`(?P<name>[^`\n]+)`:\n\n|^<!-- (?:not run: (?P<reason>[^\n]+)|part of: (?P<whole>[^\n]+)) -->\n)?"
    block = rf"{before}^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$"
    return [Block(match) for match in re.finditer(block, document, re.MULTILINE | re.DOTALL)]


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


class NewTerminal:
    """What a document says is typed first in each new terminal from here on."""

    def __init__(self, text):
        self.text = text


def steps(document):
    """The commands of all console blocks, the files, and what is typed in new terminals, in order."""
    found, end = [], 0
    for block in blocks(document):
        found += new_terminals(document[end : block.start])
        end = block.end
        if block.reason:
            continue
        if block.language == "console":
            found += commands(block.text, block.is_server)
        elif block.name:
            found.append(File(block.name, block.text))
    return found


def new_terminals(text):
    return [NewTerminal(command) for command in NEW_TERMINAL.findall(text)]


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


def unproven_blocks():
    """The blocks that are neither run nor compiled, and do not say why."""
    included = (ROOT / "src" / "lib.rs").read_text()
    for name in documents():
        text = (ROOT / name).read_text()
        found = steps(text)
        for block in blocks(text):
            if not block.reason and not is_proven(block, name, found, included):
                yield f"{name}: {block} is neither run nor compiled, nor a part of the file that it names: put <!-- not run: REASON --> before it, if it cannot be"


def is_proven(block, name, found, included):
    is_picture = block.language == "text" and re.search("[─│]", block.text)
    if block.language == "console" or is_picture:
        return True
    if block.whole:
        return is_part(block.text, (ROOT / block.whole).read_text())
    if block.name:
        return any(uses(step, block.name) for step in found[position(found, block):])
    if block.language == "rust" and "ignore" not in block.options:
        # Crates have their READMEs tested by themselves.
        return name.startswith("crates/") or f'include_str!("../{name}")' in included
    # scripts/embedder builds these.
    return name == "docs/embed.md" and ("fn main(" in block.text or "actix-rt" in block.text)


def is_part(text, whole):
    """Whether lines follow each other in a file, where they may be indented."""
    lines = [line.strip() for line in whole.splitlines()]
    wanted = [line.strip() for line in text.splitlines()]
    return any(lines[first : first + len(wanted)] == wanted for first in range(len(lines)))


def position(found, block):
    return next(number for number, step in enumerate(found) if isinstance(step, File) and step.text == block.text)


def uses(step, name):
    """Whether a step is a command that reads a file."""
    if not isinstance(step, Command):
        return False
    return bool(READ_UNNAMED.fullmatch(name)) or name.rsplit("/", 1)[-1] in step.text


def not_run():
    """The blocks that say why they are neither run nor compiled."""
    return [(name, block) for name in documents() for block in blocks((ROOT / name).read_text()) if block.reason]


def too_many_not_run():
    marked = not_run()
    if len(marked) > MOST_NOT_RUN:
        yield f"{len(marked)} blocks are neither run nor compiled, and {MOST_NOT_RUN} may be:"
        for name, block in marked:
            yield f"{name}: {block}: {block.reason}"


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
    faults += [*missing_paths(), *too_long(), *unproven_blocks(), *too_many_not_run(), *missing_features(), *unexplained_defects(), *unlisted_decisions()]
    for fault in faults:
        print(f"scripts/documents.py: {fault}", file=sys.stderr)
    marked = not_run()
    print(f"{len(marked)} block(s) of the documents are neither run nor compiled:")
    for name, block in marked:
        print(f"  {name}: {block}: {block.reason}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
