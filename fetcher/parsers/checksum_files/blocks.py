"""Blocks of fields about one file each: PowerShell's Format-List, Alpine's releases, lists made by hand.

block = 1*( field LF ) *( LF / 1*"-" LF )
field = [ "- " ] key *WSP ":" *WSP value
key   = algorithm / "hash" / "algorithm" / "path" / "file" / others, which tell nothing here
"""

import re
from collections.abc import Iterator

from fetcher.parsers.checksum_files.algorithms import HEX, algorithm_of
from fetcher.parsers.checksum_files.values import Entry

_BETWEEN = re.compile(r"^[ \t\r]*(?:-+[ \t\r]*)?(?:\n|\Z)", re.MULTILINE)
_FIELD = re.compile(r"[ \t]*(?:- [ \t]*)?([A-Za-z][A-Za-z0-9 _-]{0,30}?)[ \t]*:(?:[ \t]+(.*))?", re.DOTALL)
_NAMES = ("path", "file", "filename", "file name", "name")
_VALUES = frozenset({"hash", "checksum", "digest"})
_VALUE = re.compile(HEX)


def read(text: str) -> list[Entry]:
    """Read a file that consists of blocks; nothing where it does not."""
    entries: list[Entry] = []
    for block in _BETWEEN.split(text):
        lines = [line.rstrip("\r") for line in block.split("\n") if line.strip()]
        fields = [_FIELD.fullmatch(line) for line in lines if not line.lstrip().startswith("#")]
        named = {found[1].lower(): (found[2] or "").strip() for found in fields if found}
        # A line that is no field, or a field that is there twice: its file is unknown.
        if len(named) < len(fields):
            return []
        entries += _entries(named)
    return entries


def _entries(fields: dict[str, str]) -> Iterator[Entry]:
    name = next((fields[key].strip("\"'") for key in _NAMES if fields.get(key)), None)
    if name is None:
        return
    said = algorithm_of(fields.get("algorithm", ""))
    for key, value in fields.items():
        algorithm = said if key in _VALUES else algorithm_of(key)
        if algorithm and _VALUE.fullmatch(value.strip("\"'")):
            yield Entry(algorithm=algorithm, value=value.strip("\"'").lower(), name=name)
