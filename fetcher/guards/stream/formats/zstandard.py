"""Zstandard.

Specification: RFC 8878 section 3.1.
Reads: every frame header and every block header of 3 bytes, and none of the data between them.
Structure: frames and skippable frames follow one another to the very end of the file; no reserved
    bit, no reserved block type, blocks of at most 128 KiB.
Safety: a window of at most 128 MiB, because a reader has to hold it in memory; no dictionary, which
    would be another file. It is kept as it is and never unpacked here.
"""

from functools import partial
from struct import Struct

from fetcher.guards.stream.formats.report import CUT_SHORT, Kind, Report, Role, Steps, Window

ZSTD = Kind(key="zstd", words="a Zstandard archive", role=Role.PACKED)

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = Struct("<II")
SKIPPABLE_MAGIC = 0x184D_2A50  # To ...5F.
MOST_WINDOW = 1 << 27
MOST_BLOCK = 1 << 17
CONTENT_BYTES = (0, 2, 4, 8)
DICTIONARY_BYTES = (0, 1, 2, 4)
RLE, RESERVED = 1, 3


def recognise(head: bytes) -> Report | None:
    """Find Zstandard by the magic of a frame, or of a skippable one before it."""
    if head[:4] != MAGIC and not _is_skippable(head[:4]):
        return None
    report = Report(kind=ZSTD, name="Zstandard archive")
    report.follow = partial(_follow, report)
    return report


def _is_skippable(magic: bytes) -> bool:
    return int.from_bytes(magic, "little") & ~0xF == SKIPPABLE_MAGIC


def _follow(report: Report) -> Steps:
    """Go from frame to frame until the file ends, which it may only between two of them."""
    at, unpacked = 0, 0
    while True:
        magic = yield Window(at, 4)
        if not magic:
            break
        if _is_skippable(magic):
            length = yield Window(at + 4, 4)
            at += 8 + int.from_bytes(length, "little")
        elif magic == MAGIC:
            frame = _Frame(at + 4)
            yield from frame.read(report)
            at, unpacked = frame.at, unpacked + frame.content
            report.facts["declares_size"] = frame.declares and report.facts.get("declares_size", True)
        else:
            report.broke("zstd-frame", "something that is no frame follows a frame", CUT_SHORT)
        report.reaches(at, "frames")
        if report.findings:
            return
    if report.facts.pop("declares_size", False):
        report.facts["unpacked_bytes"] = unpacked


class _Frame:
    """One frame, read header by header.

    Args:
        at: The byte after its magic; then the byte that is read next.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.content = 0
        self.declares = False
        self.has_checksum = False

    def read(self, report: Report) -> Steps:
        yield from self._read_header(report)
        is_last = False
        while not is_last and not report.findings:
            block = yield Window(self.at, 3)
            if len(block) < 3:
                report.broke("zstd-cut-short", "it ends inside a frame", CUT_SHORT)
                return
            header = int.from_bytes(block, "little")
            is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            report.require(
                kind != RESERVED and size <= MOST_BLOCK,
                "zstd-block",
                "a block is of no known type or size",
                CUT_SHORT,
            )
            self.at += 3 + (1 if kind == RLE else size)
        self.at += 4 if self.has_checksum else 0

    def _read_header(self, report: Report) -> Steps:
        descriptor = ((yield Window(self.at, 1)) or b"\x08")[0]
        is_single = bool(descriptor >> 5 & 1)
        self.has_checksum = bool(descriptor >> 2 & 1)
        dictionary = DICTIONARY_BYTES[descriptor & 3]
        content = CONTENT_BYTES[descriptor >> 6] or int(is_single)
        length = (not is_single) + dictionary + content
        report.require(not descriptor & 8, "zstd-frame", "a frame header is damaged", CUT_SHORT)
        if report.findings:
            return
        rest = yield Window(self.at + 1, length)
        self.at += 1 + length
        if len(rest) < length:
            report.broke("zstd-cut-short", "it ends inside a frame", CUT_SHORT)
            return
        if content:
            self.declares = True
            self.content = int.from_bytes(rest[length - content :], "little") + (256 if content == 2 else 0)
        exponent, mantissa = (rest[0] >> 3, rest[0] & 7) if not is_single else (0, 0)
        window = self.content if is_single else (1 << (10 + exponent)) // 8 * (8 + mantissa)
        identifier = rest[(not is_single) : (not is_single) + dictionary]
        report.require(not any(identifier), "zstd-dictionary", "it needs a dictionary, which is another file")
        report.require(
            window <= MOST_WINDOW,
            "zstd-window",
            "it needs more than 128 MiB of memory to be unpacked",
            "Pack it with a smaller window: `zstd --long=27` or less.",
        )
