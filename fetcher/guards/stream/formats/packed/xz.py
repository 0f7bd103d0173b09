"""xz.

Specification: The .xz File Format 1.1.0, sections 2.1 and 4.
Reads: the stream header of 12 bytes; at the end the stream padding, the footer and, where it lies in
    the last 64 KiB, the index.
Structure: header and footer with right checksums and the same flags; the index with its checksum; the
    sizes that it gives make up the stream.
Safety: none. What its beginning unpacks to is judged in peek.
"""

from collections.abc import Iterator
from functools import partial
from struct import Struct
from zlib import crc32

from fetcher.guards.stream.formats.disks.tables import round_up
from fetcher.guards.stream.formats.report import CUT_SHORT, End, Kind, Report, Role

XZ = Kind(key="xz", words="an xz archive", role=Role.PACKED)

MAGIC, FOOTER_MAGIC = b"\xfd7zXZ\0", b"YZ"
HEADER_BYTES = FOOTER_BYTES = 12
LONGEST_NUMBER_BITS = 63
FOOTER = Struct("<II2s2s")


def recognise(head: bytes) -> Report | None:
    """Find xz by its magic."""
    if head[:6] != MAGIC:
        return None
    report = Report(kind=XZ, name="xz archive")
    flags, checksum = head[6:8], int.from_bytes(head[8:12], "little")
    sound = len(head) >= HEADER_BYTES and crc32(flags) == checksum and flags[0] == 0 and flags[1] < 16
    report.require(sound, "xz-header", "its header is damaged", CUT_SHORT)
    report.close = partial(_close, report, flags)
    return report


def _close(report: Report, flags: bytes, end: End) -> None:
    tail = end.tail
    padding = len(tail) - len(tail.rstrip(b"\0"))
    footer_at = len(tail) - padding // 4 * 4 - FOOTER_BYTES
    if footer_at < 0 or padding % 4:
        report.broke("xz-footer", "its footer is missing", CUT_SHORT)
        return
    checksum, backward, found, magic = FOOTER.unpack_from(tail, footer_at)
    sound = magic == FOOTER_MAGIC and crc32(tail[footer_at + 4 : footer_at + 10]) == checksum
    report.require(sound and found == flags, "xz-footer", "its footer is missing or damaged", CUT_SHORT)
    index_bytes = (backward + 1) * 4
    report.require(index_bytes < end.total, "xz-index", "its index is longer than the file", CUT_SHORT)
    if sound and index_bytes <= footer_at:
        _check_index(tail[footer_at - index_bytes : footer_at], report, end.total - padding)


def _check_index(index: bytes, report: Report, total: int) -> None:
    """Add up what the index says of the blocks of the last stream."""
    if index[0] or crc32(index[:-4]) != int.from_bytes(index[-4:], "little"):
        report.broke("xz-index", "its index is damaged", CUT_SHORT)
        return
    count, *numbers = *_numbers(index[1:-4]), 0
    if 2 * count > len(numbers) - 1:
        report.broke("xz-index", "its index is damaged", CUT_SHORT)
        return
    packed = sum(round_up(number, 4) for number in numbers[: 2 * count : 2])
    unpacked = sum(numbers[1 : 2 * count : 2])
    stream = HEADER_BYTES + packed + len(index) + FOOTER_BYTES
    report.require(stream <= total, "xz-index", "its index describes more than there is", CUT_SHORT)
    if stream == total:
        report.facts["unpacked_bytes"] = unpacked
    else:
        report.facts["streams"] = "several"


def _numbers(index: bytes) -> Iterator[int]:
    """Read numbers of 7 bits a byte, the lowest first, of 9 bytes at most; stop at one that is longer."""
    number = shift = 0
    for byte in index:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield number
            number = shift = 0
        elif shift == LONGEST_NUMBER_BITS:
            return
