"""bzip2.

Specification: none by its author; Joe Tsai, BZIP2: Format Specification (2016).
Reads: the first 10 bytes; the last 11.
Structure: a block or the end of the stream follows the header; the end of a stream, which need not
    begin at a byte, is the last thing in the file.
Safety: none. What its beginning unpacks to is judged in peek.
"""

from functools import partial

from fetcher.guards.stream.formats.report import CUT_SHORT, End, Kind, Report, Role

BZIP2 = Kind(key="bzip2", words="a bzip2 archive", role=Role.PACKED)

MAGIC = b"BZh"
LEVELS = b"123456789"
BLOCK = 0x3141_5926_5359.to_bytes(6, "big")
STREAM_END = 0x1772_4538_5090
END_BITS, CHECKSUM_BITS = 48, 32


def recognise(head: bytes) -> Report | None:
    """Find bzip2 by its magic and its level."""
    if head[:3] != MAGIC or head[3:4] not in [bytes([level]) for level in LEVELS]:
        return None
    report = Report(kind=BZIP2, name="bzip2 archive")
    begun = head[4:10] in (BLOCK, STREAM_END.to_bytes(6, "big"))
    report.require(begun, "bzip2-header", "neither a block nor its end follows its header", CUT_SHORT)
    report.close = partial(_close, report)
    return report


def _close(report: Report, end: End) -> None:
    last = int.from_bytes(end.tail[-11:], "big")
    ends = any(
        last >> (CHECKSUM_BITS + padding) & ((1 << END_BITS) - 1) == STREAM_END
        and not last & ((1 << padding) - 1)
        for padding in range(8)
    )
    report.require(ends, "bzip2-end", "it does not end where its last stream does", CUT_SHORT)
