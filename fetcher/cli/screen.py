"""Output to the terminal: words for people there, plain lines in a pipe, JSON when asked for."""

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

GAP = "  "
MIN_LAST_CELLS = 12
NUMBERS = {"SIZE", "DONE", "RATE"}


def plain(value: object) -> str:
    """Untrusted text for a terminal: no control character gets through, so nothing can move its cursor."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


class Screen:
    """Results go to standard output, talk to standard error.

    Args:
        as_json: Results are JSON documents, and there is no talk.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        self.as_json = as_json
        self.out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    @property
    def is_pipe(self) -> bool:
        """Return whether a program reads the results."""
        return not self.out.is_terminal

    @property
    def is_watched(self) -> bool:
        """Return whether a person sees a moving bar."""
        return self.err.is_terminal and not self.as_json

    def json(self, document: Any) -> None:
        """Print a document: on one line in a pipe, indented for people."""
        indent = None if self.is_pipe else 2
        sys.stdout.write(json.dumps(document, indent=indent, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def line(self, text: object) -> None:
        """Print one line of a result."""
        self.out.print(Text(plain(text)))

    def say(self, text: str, style: str = "") -> None:
        """Talk to the person; programs that read results do not see it."""
        if not self.as_json:
            self.err.print(Text("\n".join(_wrap(plain(text), self.err, 0)), style=style))

    def verbatim(self, text: str) -> None:
        """Show something to copy: never broken into lines."""
        if not self.as_json:
            self.err.print(Text(plain(text)))

    def facts(self, facts: Iterable[tuple[str, object]], *, to_err: bool = False) -> None:
        """Print names and values under each other; facts that are None or empty are left out."""
        shown = [(name, value) for name, value in facts if value not in (None, "", [], {})]
        width = max((len(name) for name, _ in shown), default=0)
        console = self.err if to_err else self.out
        for name, value in shown:
            for number, line in enumerate(_wrap(plain(value), console, width + 4)):
                label = name if number == 0 else ""
                console.print(Text.assemble("  ", (f"{label:<{width}}  ", "dim"), line))

    def table(
        self, headings: Sequence[str], rows: Iterable[Sequence[object]], *, is_prose: bool = False
    ) -> None:
        """Print a table for people, or lines with tabs between the columns in a pipe.

        Only the last column, which is the longest, gets shorter on a narrow
        terminal: an id that is cut off is of no use.

        Args:
            is_prose: The last column goes on in the next line where it is too long.
        """
        cells = [[plain(cell) for cell in row] for row in rows]
        if self.is_pipe:
            for row in cells:
                sys.stdout.write("\t".join(row) + "\n")
            return
        if not cells:
            return
        widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)][:-1]
        if is_prose:
            most = max(MIN_LAST_CELLS, self.out.width // 3)
            widths = [*widths[:1], *(min(width, most) for width in widths[1:])]
        room = max(MIN_LAST_CELLS, self.out.width - sum(widths) - len(GAP) * len(widths))
        self.out.print(Text(_row(headings, [*widths, room], headings), style="bold"))
        for row in cells:
            if not is_prose:
                self.out.print(Text(_row([*row[:-1], _shorten(row[-1], room)], [*widths, room], headings)))
                continue
            wrapped = [textwrap.wrap(cell, width) for cell, width in zip(row, [*widths, room], strict=True)]
            for line in zip_longest(*wrapped, fillvalue=""):
                self.out.print(Text(_row(line, [*widths, room], headings)))


def _row(cells: Sequence[str], widths: Sequence[int], headings: Sequence[str]) -> str:
    fitted = (
        _fit(cell, width, is_number=heading in NUMBERS)
        for cell, width, heading in zip(cells, widths, headings, strict=True)
    )
    return GAP.join(fitted).rstrip()


def _fit(text: str, width: int, *, is_number: bool) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if is_number else text + blanks


def _shorten(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _wrap(text: str, console: Console, indent: int) -> list[str]:
    """Break a sentence for people; what is copied, such as a digest, is never broken."""
    width = console.width - indent
    if not console.is_terminal or " " not in text or width < 20:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
