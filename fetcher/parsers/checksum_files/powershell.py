"""Lines of the table that PowerShell's Get-FileHash prints.

line = algorithm 1*WSP hex 1*WSP path
"""

import re

from fetcher.parsers.checksum_files.algorithms import HEX, algorithm_of
from fetcher.parsers.checksum_files.values import Entry

_LINE = re.compile(rf"([A-Z0-9]{{3,9}})[ \t]+({HEX})[ \t]+([^ \t].*)")


def read(line: str) -> Entry | None:
    """Read one line; None where it is not of this dialect."""
    found = _LINE.fullmatch(line)
    algorithm = algorithm_of(found[1]) if found else ""
    if found is None or not algorithm:
        return None
    return Entry(algorithm=algorithm, value=found[2].lower(), name=found[3].rstrip(" \t"))
