"""7z.

Specification: 7-Zip, DOC/7zFormat.txt.
Reads: the signature header of 32 bytes.
Structure: its checksum; the end header that it names is the last thing in the file.
Safety: none; it is kept as it is and never unpacked here.
"""

from functools import partial
from struct import Struct
from zlib import crc32

from fetcher.guards.stream.formats.report import CUT_SHORT, End, Kind, Report, Role

SEVENZIP = Kind(key="7z", words="a 7z archive", role=Role.PACKED)

MAGIC = b"7z\xbc\xaf\x27\x1c"
HEADER = Struct("<6s2sIQQI")


def recognise(head: bytes) -> Report | None:
    """Find 7z by its signature."""
    if head[:6] != MAGIC:
        return None
    report = Report(kind=SEVENZIP, name="7z archive")
    if len(head) < HEADER.size or crc32(head[12:32]) != int.from_bytes(head[8:12], "little"):
        report.broke("7z-header", "its header is damaged", CUT_SHORT)
        return report
    _, _, _, offset, length, _ = HEADER.unpack_from(head)
    report.close = partial(_close, report, HEADER.size + offset + length)
    return report


def _close(report: Report, last: int, end: End) -> None:
    report.require(last == end.total, "7z-end", "it does not end where its header says", CUT_SHORT)
