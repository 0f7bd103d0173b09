r"""Lines as coreutils writes them, and its many followers: Ubuntu, Debian, Arch, openSUSE, Alpine.

line   = [ "\" ] [ algorithm ( ":" / "=" ) ] hex separator name
separator = SP ( SP / "*" )         ; coreutils: text, binary
          / 1*( SP / TAB ) [ "*" ]  ; what others make of it: one blank, a tab
name = path / quoted path / "-"     ; "-" is no name: what came through a pipe

Source: coreutils, "md5sum invocation".
"""

import re

from fetcher.parsers.checksum_files.algorithms import ALGORITHM, HEX, algorithm_of
from fetcher.parsers.checksum_files.values import Entry

_LINE = re.compile(
    rf"(\\?)(?:({ALGORITHM})[:=])?({HEX})(?: [ *]|[ \t]+\*?)([^ \t].*|[ \t]+[^ \t].*)", re.DOTALL
)
# Debian's Release and .dsc files: the size stands before the name, and a blank before all.
_SIZED = re.compile(r"[0-9]{1,15}[ \t]+([^ \t].*)", re.DOTALL)
_QUOTED = re.compile(r"([\"'])(.+)\1", re.DOTALL)
STDIN = "-"  # The name of what came through a pipe: nothing is said of what it is called.
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def read(line: str) -> Entry | None:
    """Read one line; None where it is not of this dialect."""
    found = _LINE.fullmatch(line.lstrip(" \t"))
    if found is None:
        return None
    algorithm = algorithm_of(found[2] or "")
    if found[2] and not algorithm:
        return None
    name = unescape(found[4], is_escaped=bool(found[1]))
    if line[:1] in {" ", "\t"} and (sized := _SIZED.fullmatch(name)):
        name = sized[1]
    if quoted := _QUOTED.fullmatch(name.strip(" \t")):
        name = quoted[2]
    return Entry(
        algorithm=algorithm, value=found[3].lower(), name=None if name.strip(" \t") == STDIN else name
    )


def unescape(name: str, *, is_escaped: bool) -> str:
    r"""Undo coreutils' escapes of names with `\`, CR and LF."""
    if not is_escaped:
        return name
    return _ESCAPE.sub(lambda found: {"n": "\n", "r": "\r", "\\": "\\"}.get(found[1], found[0]), name)
