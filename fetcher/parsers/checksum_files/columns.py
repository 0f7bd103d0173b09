"""Rows of tables: with commas or semicolons between, or as Markdown draws them; hashdeep's.

row  = cell 1*( ( "," / ";" / "|" ) cell )    ; at least one cell is a digest, one is a name
cell = *WSP ( [ algorithm ":" ] hex / name ) *WSP
"""

import re
from collections.abc import Iterator

from fetcher.parsers.checksum_files.algorithms import ALGORITHM, HEX, algorithm_of
from fetcher.parsers.checksum_files.values import Entry

_BETWEEN = re.compile(r"[,;|]")
_VALUE = re.compile(rf"(?:({ALGORITHM})[:=][ \t]*)?({HEX})")


def read(line: str) -> Iterator[Entry]:
    """Read one line; nothing where it is not of this dialect."""
    cells = [cell.strip(" \t\"'*") for cell in _BETWEEN.split(line)]
    values = [found for cell in cells if (found := _VALUE.fullmatch(cell))]
    names = [cell for cell in cells if cell and not _VALUE.fullmatch(cell) and not cell.isdecimal()]
    name = next((one for one in names if "." in one), names[0] if len(names) == 1 else None)
    if name is None or len(cells) == len(values):
        return
    for found in values:
        yield Entry(algorithm=algorithm_of(found[1] or ""), value=found[2].lower(), name=name)
