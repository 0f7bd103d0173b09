"""ZIP.

Specification: PKWARE, APPNOTE 6.3 section 4.3.
Reads: the first 4 bytes; the end record, which can be as long as the last 64 KiB.
Structure: the end record is the last thing in the file, its directory inside the file.
Safety: an end record behind a raw disk or a disc makes the file two things at once.
"""

from functools import partial
from struct import Struct

from fetcher.guards.stream.formats.report import CUT_SHORT, End, Kind, Report, Role

ZIP = Kind(key="zip", words="a ZIP archive", role=Role.PACKED)

STARTS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
END_MAGIC = b"PK\5\6"
END_RECORD = Struct("<4sHHHHIIH")
FAR = 0xFFFF_FFFF  # The number stands in a ZIP64 record instead.


def recognise(head: bytes) -> Report | None:
    """Find ZIP by what its first record may be."""
    if head[:4] not in STARTS:
        return None
    report = Report(kind=ZIP, name="ZIP archive")
    report.require(head[:4] != END_MAGIC, "packed-empty", "there is nothing inside", CUT_SHORT)
    report.close = partial(_close, report)
    return report


def recognise_end(end: End) -> Report | None:
    """Find ZIP by the record at the end, for files that begin as something else."""
    return Report(kind=ZIP, name="ZIP archive") if _has_end_record(end) else None


def _close(report: Report, end: End) -> None:
    report.require(_has_end_record(end), "zip-end", "it does not end with its directory", CUT_SHORT)


def _has_end_record(end: End) -> bool:
    at = end.tail.rfind(END_MAGIC)
    while at >= 0:
        if at + END_RECORD.size <= len(end.tail) and _is_end_record(end, at):
            return True
        at = end.tail.rfind(END_MAGIC, 0, at)
    return False


def _is_end_record(end: End, at: int) -> bool:
    _, _, _, _, _, length, offset, comment = END_RECORD.unpack_from(end.tail, at)
    position = end.total - len(end.tail) + at
    inside: bool = FAR in (length, offset) or offset + length <= position
    return inside and at + END_RECORD.size + comment == len(end.tail)
