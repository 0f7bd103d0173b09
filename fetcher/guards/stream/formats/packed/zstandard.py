"""Zstandard.

Specification: RFC 8878 section 3.1.
Reads: every frame header and every block header of 3 bytes, and none of the data between them. What its
    beginning unpacks to is judged in peek.
Structure: frames and skippable frames follow one another to the very end of the file; no reserved
    bit, no reserved block type, blocks of at most 128 KiB.
Safety: a window of at most 128 MiB, because a reader has to hold it in memory; no dictionary, which
    would be another file.
"""

from functools import partial

from fetcher.guards.stream.formats.packed.blocks import DENSE_BYTES, Repeats, follow_blocks
from fetcher.guards.stream.formats.report import CUT_SHORT, Kind, Report, Role, Steps
from fetcher.guards.stream.formats.work import SHORT_BYTES
from fetcher.parsers.archives.skippable import behind_skippable, is_skippable

ZSTD = Kind(key="zstd", words="a Zstandard archive", role=Role.PACKED)

MAGIC = b"\x28\xb5\x2f\xfd"
LZ4_MAGICS = (b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18")
MAX_WINDOW = 1 << 27
MAX_BLOCK = 1 << 17
CONTENT_BYTES = (0, 2, 4, 8)
DICTIONARY_BYTES = (0, 1, 2, 4)
RLE, RESERVED = 1, 3
LONGEST_HEADER = 18  # Of a frame, with its magic.


def recognise(head: bytes) -> Report | None:
    """Find Zstandard by the magic of a frame, or of a skippable one before it."""
    at = behind_skippable(head)
    if head[:4] != MAGIC and (not is_skippable(head[:4]) or head[at : at + 4] in LZ4_MAGICS):
        return None
    report = Report(kind=ZSTD, name="Zstandard archive")
    report.follow = partial(_follow, report)
    return report


def _follow(report: Report) -> Steps:
    """Go from frame to frame until the file ends, which it may only between two of them."""
    frames = _FrameReader(report)
    yield from follow_blocks(report, frames)
    if frames.declared_bytes is not None:
        report.facts["unpacked_bytes"] = frames.declared_bytes


class _FrameReader:
    """Frames and blocks, one after the other.

    Attributes:
        is_dense: The last block was small.
        declared_bytes: What all frames say to unpack to; None where one does not say.
    """

    def __init__(self, report: Report) -> None:
        self.is_dense = False
        self.declared_bytes: int | None = 0
        self._report = report
        self._repeats = Repeats(report)
        self._is_in_frame = False
        self._has_checksum = False

    def take(self, piece: bytes, at: int, *, is_last: bool) -> int:
        """Read the frames and blocks that lie whole in a piece."""
        here, size = 0, len(piece)
        while not self._report.findings and here < size:
            former = here
            read = self._read_blocks if self._is_in_frame else self._read_frame
            here = read(piece, here, is_last=is_last)
            if here == former:
                break
        if is_last:
            self._close(here, size)
        if not self._is_in_frame:
            self._report.reaches(at + here, "frames")
        return at + here

    def _close(self, here: int, size: int) -> None:
        is_inside = self._is_in_frame or here < size
        self._report.require(
            bool(self._report.findings) or not is_inside,
            "zstd-cut-short",
            "it ends inside a frame",
            CUT_SHORT,
        )

    def _read_frame(self, piece: bytes, here: int, *, is_last: bool) -> int:
        """Read a frame's header, or pass a skippable frame; return where to go on."""
        rest = piece[here : here + LONGEST_HEADER]
        if len(rest) < LONGEST_HEADER and not is_last:
            return here
        if rest[:4] == MAGIC:
            return self._read_header(rest[4:], here)
        if is_skippable(rest[:4]):
            return self._repeats.skipped(piece, here)
        self._report.broke("zstd-frame", "something that is no frame follows a frame", CUT_SHORT)
        return here

    def _read_header(self, header: bytes, here: int) -> int:
        frame = Frame(header)
        self._report.require(frame.is_sound, "zstd-frame", "a frame header is damaged", CUT_SHORT)
        if self._report.findings:
            return here
        if len(header) < frame.header_bytes:
            self._report.broke("zstd-cut-short", "it ends inside a frame", CUT_SHORT)
            return here
        frame.check(self._report)
        declared = frame.content_bytes
        total = self.declared_bytes
        self.declared_bytes = None if declared is None or total is None else total + declared
        self._is_in_frame, self._has_checksum = True, frame.has_checksum
        self._report.work.step(4 + frame.header_bytes)
        return here + 4 + frame.header_bytes

    def _read_blocks(self, piece: bytes, here: int, *, is_last: bool) -> int:
        """Read the blocks of a frame that lie in a piece, one small loop for all of them."""
        size = len(piece)
        while here + 3 <= size:
            header = piece[here] | piece[here + 1] << 8 | piece[here + 2] << 16
            kind, length = header >> 1 & 3, header >> 3
            if kind == RESERVED or length > MAX_BLOCK:
                self._report.broke("zstd-block", "a block is of no known type or size", CUT_SHORT)
                return here
            step = 3 + (1 if kind == RLE else length)
            self.is_dense = step < DENSE_BYTES
            if step < SHORT_BYTES and here + step > size and not is_last:
                break
            if header & 1:
                self._repeats.blocks(piece, here, step)
                self._is_in_frame = False
                return here + step + (4 if self._has_checksum else 0)
            copies = self._repeats.blocks(piece, here, step)
            if kind == RLE:
                self._report.work.unpacked_bytes += length * copies
            here += step * copies
        return here


class Frame:
    """The header of a frame, behind its magic.

    Attributes:
        is_sound: No reserved bit is set.
        header_bytes: How long it is.
        has_checksum: Four bytes follow the last block.
        content_bytes: What the frame says to unpack to; None where it does not say.
    """

    def __init__(self, header: bytes) -> None:
        descriptor = (header or b"\x08")[0]
        self.is_sound = not descriptor & 8
        self.has_checksum = bool(descriptor >> 2 & 1)
        self._is_single = bool(descriptor >> 5 & 1)
        self._dictionary_bytes = DICTIONARY_BYTES[descriptor & 3]
        field = CONTENT_BYTES[descriptor >> 6] or int(self._is_single)
        self.header_bytes = 1 + (not self._is_single) + self._dictionary_bytes + field
        self._rest = header[1 : self.header_bytes]
        more = 256 if field == 2 else 0
        self.content_bytes = int.from_bytes(self._rest[-field:], "little") + more if field else None

    def check(self, report: Report) -> None:
        """Check that it can be unpacked in bounded memory, and without another file."""
        start = 0 if self._is_single else 1
        identifier = self._rest[start : start + self._dictionary_bytes]
        report.require(not any(identifier), "zstd-dictionary", "it needs a dictionary, which is another file")
        exponent, mantissa = (0, 0) if self._is_single else (self._rest[0] >> 3, self._rest[0] & 7)
        window = self.content_bytes if self._is_single else (1 << (10 + exponent)) // 8 * (8 + mantissa)
        report.require(
            (window or 0) <= MAX_WINDOW,
            "zstd-window",
            "it needs more than 128 MiB of memory to be unpacked",
            "Pack it with a smaller window: `zstd --long=27` or less.",
        )
