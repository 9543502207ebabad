"""What documents tell a reader to do: their commands and files, in order."""

import re

# Commands that would run the tests again.
LEFT_OUT = {"scripts/test"}


class Command:
    """A command of a document, with the output that is shown for it."""

    def __init__(self, text):
        self.text = text
        self.output = []


class File:
    """A file that a document shows: a block behind a line that has its name alone."""

    def __init__(self, name, text):
        self.name = name
        self.text = text


def steps(document):
    """The commands of all console blocks, and the files, in order."""
    found = []
    block = r"^(?:`(?P<name>[^`\n]+)`:\n\n)?```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```"
    for match in re.finditer(block, document, re.MULTILINE | re.DOTALL):
        if match["language"] == "console":
            found += commands(match["text"])
        elif match["name"]:
            found.append(File(match["name"], match["text"]))
    return found


def commands(block):
    found, continued = [], False
    for line in block.splitlines():
        if continued:
            found[-1].text += "\n" + line
        elif line.startswith("$ "):
            found.append(Command(line[2:]))
        else:
            found[-1].output.append(line)
        continued = line.endswith("\\") and (continued or line.startswith("$ "))
    return [command for command in found if command.text not in LEFT_OUT]
