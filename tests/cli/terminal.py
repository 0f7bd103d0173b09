"""A real pseudo-terminal, and what stands on its screen."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios
from pathlib import Path
from typing import Self

from tests.cli.conftest import COMMAND

_PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|([\r\n\x07\x08])|([^\x1b\r\n\x07\x08]+)")


class Screen:
    """As much of a terminal as a bar needs: text, line ends, erased lines, the cursor moved up."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        """Take what a program writes."""
        for found in _PIECE.finditer(text):
            number, command, control, plain = found.groups()
            if plain:
                for letter in plain:
                    self._put(letter)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            elif command == "A":
                self.row = max(0, self.row - int(number or 1))
            elif command == "K":
                kept = "" if number == "2" else self.lines[self.row][: self.column]
                self.lines[self.row] = kept

    def _put(self, letter: str) -> None:
        if self.column == self.columns:
            self.column = 0
            self._down()
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def shown(self) -> list[str]:
        """The lines that are not empty."""
        return [line.rstrip() for line in self.lines if line.strip()]


class Terminal:
    """`fetcher ARGUMENTS` in a terminal of its own.

    Args:
        arguments: Of the command.
        columns: How wide it is.
        cwd: Where the command runs.
    """

    def __init__(self, *arguments: str, columns: int, cwd: Path) -> None:
        self.screen = Screen(columns)
        self._arguments = arguments
        self._cwd = cwd
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start it."""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self.screen.columns, 0, 0))
        self.process = await asyncio.create_subprocess_exec(
            *(
                "setsid",
                "--ctty",
                "--wait",
            ),  # Its own controlling terminal, so that Ctrl-C is a signal to it.
            *COMMAND,
            *self._arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self._cwd,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm"},
        )
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End it, however it stands."""
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def _read(self) -> None:
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # Its other end is closed: the command has ended.
            asyncio.get_running_loop().remove_reader(self._ours)
            data = b""
        self.screen.feed(data.decode())
        self._changed.set()

    def press(self, keys: str) -> None:
        """Type; the terminal itself makes a signal of Ctrl-C."""
        os.write(self._ours, keys.encode())

    async def until(self, words: str) -> str:
        """Wait for a line with these words."""
        async with asyncio.timeout(60):
            while True:
                for line in self.screen.shown():
                    if words in line:
                        return line
                self._changed.clear()
                await self._changed.wait()

    async def ended(self) -> int:
        """Wait for the end; its exit code."""
        async with asyncio.timeout(60):
            return await self.process.wait()
