"""What goes to the terminal: words for people there, plain lines in a pipe, JSON when asked for."""

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


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
        """Whether a program reads the results."""
        return not self.out.is_terminal

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees what moves."""
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

    def facts(self, facts: Iterable[tuple[str, object]], *, to_err: bool = False) -> None:
        """Print names and values under each other; facts that are None or empty are left out."""
        shown = [(name, value) for name, value in facts if value not in (None, "", [], {})]
        width = max((len(name) for name, _ in shown), default=0)
        console = self.err if to_err else self.out
        for name, value in shown:
            for number, line in enumerate(_wrap(plain(value), console, width + 4)):
                label = name if number == 0 else ""
                console.print(Text.assemble("  ", (f"{label:<{width}}  ", "dim"), line))

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table for people, or lines with tabs between the columns in a pipe."""
        if self.is_pipe:
            for row in rows:
                sys.stdout.write("\t".join(plain(cell) for cell in row) + "\n")
            return
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for heading in headings:
            is_number = heading in {"SIZE", "DONE", "VALUE"}
            table.add_column(
                heading, justify="right" if is_number else "left", overflow="ellipsis", no_wrap=True
            )
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
        self.out.print(table, soft_wrap=False)


def _wrap(text: str, console: Console, indent: int) -> list[str]:
    """Break a sentence for people; what is copied, such as a digest, is never broken."""
    width = console.width - indent
    if not console.is_terminal or " " not in text or width < 20:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
