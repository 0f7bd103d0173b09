"""Lines of Gentoo's Manifest files, with several digests each.

line = ( "DIST" / "DATA" / "MISC" / "EBUILD" / "AUX" ) SP name SP size 1*( SP algorithm SP hex )

Source: GLEP 74.
"""

from collections.abc import Iterator

from fetcher.parsers.checksum_files.algorithms import algorithm_of
from fetcher.parsers.checksum_files.values import Entry

KINDS = frozenset({"DIST", "DATA", "MISC", "EBUILD", "AUX"})


def read(line: str) -> Iterator[Entry]:
    """Read one line; nothing where it is not of this dialect."""
    words = line.split(" ")
    if len(words) < 5 or words[0] not in KINDS or not words[2].isdecimal():
        return
    for spelled, value in zip(words[3::2], words[4::2], strict=False):
        algorithm = algorithm_of(spelled)
        if algorithm and all(digit in "0123456789abcdefABCDEF" for digit in value):
            yield Entry(algorithm=algorithm, value=value.lower(), name=words[1])
