"""A reader of a document: runs its commands in terminals, of which each begins with nothing, as a person's do."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

from documents import Command, File, NewTerminal

# How long a command, or the first line of a program that stays, is waited for.
PATIENCE_S = 1800
# How long a program may take to end after SIGINT, or after a document has told it to end.
END_S = 60


class Terminal:
    """A terminal: its folder, and the variables that are exported in it, stay from one command to the next."""

    def __init__(self, scratch):
        scratch.mkdir(parents=True)
        self.variables = scratch / "variables"
        self.place = scratch / "folder"
        # What runs here has a terminal for its standard input: some programs heed that, such as `wasmcloud run` at SIGHUP.
        self.keyboard, self.input = os.openpty()


class Reader:
    """Does what a document says, in its order."""

    def __init__(self, folder, scratch, environment, prelude):
        self.folder = folder
        self.scratch = scratch
        # All that is started inherits the mark, by which it is found at the end.
        self.environment = {**environment, "READER": str(scratch)}
        self.prelude = prelude
        # What the document says is typed first in a new terminal.
        self.first = None
        self.terminals = []
        self.terminal = self.bare_terminal()
        self.staying = None
        self.serving = []

    def do(self, step):
        if isinstance(step, NewTerminal):
            self.first = step
        elif isinstance(step, File):
            self.write(step)
        else:
            self.run(step)

    def bare_terminal(self):
        self.terminals.append(Terminal(self.scratch / f"terminal-{len(self.terminals)}"))
        return self.terminals[-1]

    def new_terminal(self):
        """A terminal in which has been typed what the document says, and nothing else."""
        terminal = self.bare_terminal()
        if self.first:
            self.run_to_its_end(Command(self.first.text), terminal)
        return terminal

    def here(self):
        """The terminal for what comes next. Another one than that in which a program stays."""
        self.terminal = self.terminal or self.new_terminal()
        return self.terminal

    def folder_of(self, terminal):
        return pathlib.Path(terminal.place.read_text().rstrip("\n")) if terminal.place.exists() else self.folder

    def write(self, file):
        path = self.folder_of(self.here()) / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)

    def run(self, command):
        if command.serves:
            self.serving.append((command, self.run_until_it_serves(command, self.new_terminal())))
        elif stays(command):
            terminal = self.here()
            self.end_staying()
            self.staying = (command, self.run_until_it_serves(command, terminal))
            self.terminal = None
        else:
            self.run_to_its_end(command, self.here())

    def run_until_it_serves(self, command, terminal):
        process, lines, ended = self.start(command, terminal, "")
        wait_until(lambda: ended.is_set() or says(command, lines), command)
        if ended.is_set():
            fail(command, f"it ended with {process.wait()} instead of staying; it said\n" + "\n".join(lines))
        return process

    def run_to_its_end(self, command, terminal):
        remember = f"export -p >'{terminal.variables}'\npwd >'{terminal.place}'"
        process, lines, ended = self.start(command, terminal, remember)
        wait_until(ended.is_set, command)
        if process.wait() != 0:
            fail(command, f"it ended with {process.returncode}")
        if command.output:
            expect(command, lines)

    def start(self, command, terminal, remember):
        print(f"$ {command.text}", flush=True)
        # Job control, as in a shell for people: what is left in the background keeps the terminal for its input. What stays is in
        # the group of its shell, so that a signal reaches it.
        jobs = "set -m" if remember else ""
        script = f"set -e\n{self.prelude}\n[ ! -e '{terminal.variables}' ] || . '{terminal.variables}'\n{jobs}\n{command.text}\n{remember}\n"
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=self.folder_of(terminal), env=self.environment, stdin=terminal.input,
            stdout=subprocess.PIPE, stderr=None, text=True, start_new_session=True,
        )
        lines, ended = [], threading.Event()
        threading.Thread(target=read, args=(process, lines, ended), daemon=True).start()
        return process, lines, ended

    def end_staying(self):
        if self.staying is None:
            return
        staying, self.staying = self.staying, None
        end(*staying)

    def end_all(self):
        """Ends what stays, then what serves, the last one first: hosts before the servers that they use. What the document has
        left in the background it has to end itself."""
        self.end_staying()
        while self.serving:
            end(*self.serving.pop())
        deadline = time.monotonic() + END_S
        while left := self.left():
            if time.monotonic() > deadline:
                sys.exit("scripts/readme: at the end of the document these still run, and a reader is not told to end them:\n" + "\n".join(left.values()))
            time.sleep(0.05)

    def left(self):
        """The processes that run still, by their numbers."""
        mark = f"READER={self.environment['READER']}".encode()
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            # It may end meanwhile, or be of another user.
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return found

    def kill_all(self):
        """Kills whatever still runs."""
        for number in self.left():
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        for _, process in [*self.serving, *filter(None, [self.staying])]:
            process.kill()
        for terminal in self.terminals:
            os.close(terminal.keyboard)
            os.close(terminal.input)


def end(command, process):
    if process.poll() is not None:
        fail(command, f"it ended by itself, with {process.returncode}")
    os.killpg(process.pid, signal.SIGINT)
    try:
        status = process.wait(END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        fail(command, "it did not end after SIGINT")
    # A shell that was interrupted says 130, whatever its command said.
    if status not in (0, 130, -signal.SIGINT):
        fail(command, f"it ended with {status} after SIGINT")


def stays(command):
    """Whether a command is a program that serves until it is told to end: it says where it listens, or that it runs."""
    return command.serves or any(mark in line for mark in ("Listening on", " runs: ", "wait for more") for line in command.output)


def read(process, lines, ended):
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line.rstrip("\n"))
    process.wait()
    ended.set()


def wait_until(condition, command):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            fail(command, f"it took more than {PATIENCE_S} s")
        time.sleep(0.05)


def says(command, lines):
    """Whether a command has said what is shown, and perhaps more."""
    return bool(re.match(pattern(command), "\n".join(lines), re.DOTALL))


def expect(command, lines):
    said = "\n".join(lines)
    if not re.fullmatch(pattern(command), said, re.DOTALL):
        shown = "\n".join(command.output)
        fail(command, f"it is shown to say\n{shown}\nand said\n{said}")


def pattern(command):
    return re.escape("\n".join(command.output)).replace(re.escape("..."), ".*")


def fail(command, reason):
    sys.exit(f"scripts/readme: the command\n{command.text}\nfails in a clean copy: {reason}")
