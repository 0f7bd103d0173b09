"""The manual page, made from the reference of the commands, line by line."""

import re
from collections.abc import Iterator

from fetcher import __version__
from fetcher.cli.app import build
from fetcher.cli.exits import MEANINGS

HEAD = f"""\
.\\" Made from the commands by `python scripts/docs.py`.
.TH FETCHER 1 "" "Glance Fetcher {__version__}" "User Commands"
.SH NAME
fetcher \\- submit a URL, get an image
.SH SYNOPSIS
.B fetcher
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
Results go to standard output, everything else to standard error.
In a pipe, lists are lines with tabs between the columns, and nothing moves.
.B \\-\\-json
prints one JSON document in place of words, also for errors.
.SH COMMANDS"""

FILES = """\
.SH FILES
.I config.toml
with all limits and their reasons; an operator's own file, given with
.BR \\-\\-config ,
is laid over it key by key."""

_COMMAND = re.compile(r"#{3,} (fetcher .*)")
_PARAMETER = re.compile(r"\* `(.+?)`: (.*)")
_MARKUP = re.compile(r"\*\*(.+?)\*\*|`(.+?)`|\*(\[.+?\])\*")


def manual_page() -> str:
    """Every command with its parameters, then exit codes, in the language of man pages.

    Source: man(7).
    """
    text = build().generate_docs("markdown", heading_level=2)
    commands = text[text.index("\n### ") :]
    lines = [HEAD, *_commands(commands.splitlines()), ".SH EXIT STATUS"]
    for code, words in MEANINGS.items():
        lines += [".TP", f".B {code.value}", _roff(words)]
    return "\n".join([*lines, FILES]) + "\n"


def _commands(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if found := _COMMAND.fullmatch(line):
            yield f".SS {_roff(found[1])}"
        elif found := _PARAMETER.fullmatch(line):
            yield from (".TP", f".B {_roff(found[1])}", _roff(found[2]))
        elif line.startswith("fetcher "):
            yield from (".PP", f".B {_roff(line)}", ".PP")
        elif line and not line.startswith(("```", "**")):
            yield _roff(line.strip())


def _roff(text: str) -> str:
    """Text without the reference's markup, and with nothing in it that roff would act on."""
    plain = _MARKUP.sub(lambda found: found[1] or found[2] or found[3], text)
    escaped = plain.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
