"""LZ4, in its frame format and in the legacy one that kernels use.

Specification: LZ4 Frame Format Description 1.6.
Reads: every frame header and every block size of 4 bytes, and none of the data between them. What its
    beginning unpacks to is judged in peek.
Structure: frames follow one another to the very end of the file; version 1, no reserved bit, blocks
    no larger than the frame says.
Safety: no dictionary, which would be another file.
"""

from functools import partial

from fetcher.guards.stream.formats.packed.blocks import DENSE_BYTES, Repeats, follow_blocks
from fetcher.guards.stream.formats.report import CUT_SHORT, Kind, Report, Role, Steps
from fetcher.guards.stream.formats.work import SHORT_BYTES, WorkExceeded
from fetcher.parsers.archives.skippable import behind_skippable, frame_bytes, is_skippable

LZ4 = Kind(key="lz4", words="an LZ4 archive", role=Role.PACKED)

FRAME, LEGACY = b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"
BLOCK_BYTES = {4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22}
LEGACY_BLOCK = (8 << 20) + (8 << 20) // 255 + 16
UNPACKED_BLOCK = 1 << 31
LONGEST_HEADER = 15  # Of a frame, with its magic.
MAX_BLOCKS = 4_096  # And frames, that the first 64 KiB of the content are looked for in.
BLOCK_CHECKSUM, CONTENT_SIZE, CONTENT_CHECKSUM, RESERVED, DICTIONARY = 16, 8, 4, 2, 1


def recognise(head: bytes) -> Report | None:
    """Find LZ4 by the magic of either format."""
    first = head[(at := behind_skippable(head)) : at + 4]
    if first not in (FRAME, LEGACY):
        return None
    report = Report(kind=LZ4, name="LZ4 archive" if first == FRAME else "LZ4 archive, legacy")
    report.follow = partial(_follow, report)
    return report


def _follow(report: Report) -> Steps:
    """Go from frame to frame until the file ends, which it may only between two of them."""
    yield from follow_blocks(report, _FrameReader(report))


class _FrameReader:
    """Frames and blocks, one after the other.

    Attributes:
        is_dense: The last block was small.
    """

    def __init__(self, report: Report) -> None:
        self.is_dense = False
        self._report = report
        self._repeats = Repeats(report)
        self._frame: Frame | None = None

    def take(self, piece: bytes, at: int, *, is_last: bool) -> int:
        """Read the frames and blocks that lie whole in a piece."""
        here, size = 0, len(piece)
        while not self._report.findings and here < size:
            former = here
            read = self._read_frame if self._frame is None else self._read_blocks
            here = read(piece, here, is_last=is_last)
            if here == former:
                break
        is_between = self._frame is None or self._frame.is_legacy
        if is_last and not self._report.findings and (here < size or not is_between):
            self._report.broke("lz4-cut-short", "it ends inside a frame", CUT_SHORT)
        if is_between:
            self._report.reaches(at + here, "frames")
        return at + here

    def _read_frame(self, piece: bytes, here: int, *, is_last: bool) -> int:
        """Read a frame's header, or pass a skippable frame; return where to go on."""
        rest = piece[here : here + LONGEST_HEADER]
        if len(rest) < LONGEST_HEADER and not is_last:
            return here
        if rest[:4] in (FRAME, LEGACY):
            self._frame = Frame(rest)
            self._frame.check(self._report)
            self._report.work.step(self._frame.header_bytes)
            return here + self._frame.header_bytes
        if is_skippable(rest[:4]):
            return self._repeats.skipped(piece, here)
        self._report.broke("lz4-frame", "something that is no frame follows a frame", CUT_SHORT)
        return here

    def _read_blocks(self, piece: bytes, here: int, *, is_last: bool) -> int:
        """Read the blocks of a frame that lie in a piece."""
        frame, size = self._frame, len(piece)
        while frame is not None and here + 4 <= size:
            word = int.from_bytes(piece[here : here + 4], "little")
            if word == 0 and not frame.is_legacy:
                self._frame = None
                return here + 4 + frame.end_bytes
            length = word if frame.is_legacy else word & ~UNPACKED_BLOCK
            if length > frame.most and frame.is_legacy and begins_frame(piece[here : here + 4]):
                self._frame = None
                return self._read_frame(piece, here, is_last=is_last)
            if length > frame.most or not length:
                self._report.broke("lz4-block", "a block is larger than its frame allows", CUT_SHORT)
                return here
            step = 4 + length + frame.block_end_bytes
            self.is_dense = step < DENSE_BYTES
            if step < SHORT_BYTES and here + step > size and not is_last:
                break
            here += step * self._repeats.blocks(piece, here, step)
        return here


def begins_frame(magic: bytes) -> bool:
    """Answer whether a frame begins here: what ends a legacy one, whose blocks cannot be so long."""
    return magic in (FRAME, LEGACY) or is_skippable(magic)


class Frame:
    """The header of a frame.

    Attributes:
        is_legacy: It is of the older format, which ends with the file or where another frame begins.
        most: Bytes of its largest block.
        header_bytes: How long it is, with its magic.
        block_end_bytes: What follows each block.
        end_bytes: What follows the last one.
    """

    def __init__(self, header: bytes) -> None:
        self.is_legacy = header[:4] == LEGACY
        self._flags, self._block = (header[4:6] + bytes(2))[:2] if not self.is_legacy else (0, 0)
        self.most = LEGACY_BLOCK if self.is_legacy else BLOCK_BYTES.get(self._block >> 4 & 7, 0)
        self.header_bytes = 4 if self.is_legacy else 7 + (8 if self._flags & CONTENT_SIZE else 0)
        self.block_end_bytes = 4 if self._flags & BLOCK_CHECKSUM else 0
        self.end_bytes = 4 if self._flags & CONTENT_CHECKSUM else 0

    def check(self, report: Report) -> None:
        """Check that it is sound, and needs no other file."""
        if self.is_legacy:
            return
        sound = self._flags >> 6 == 1 and not self._flags & RESERVED and not self._block & 0x8F and self.most
        report.require(bool(sound), "lz4-frame", "a frame header is damaged", CUT_SHORT)
        report.require(
            not self._flags & DICTIONARY, "lz4-dictionary", "it needs a dictionary, which is another file"
        )


class Lz4Start:
    """Unpacks the beginning of a stream, as a decoder of the standard library does, until 64 KiB are out.

    Attributes:
        is_between: What came so far ends where a frame does.
    """

    eof, unused_data = False, b""

    def __init__(self) -> None:
        self.is_between = False
        self._packed = bytearray()
        self._content = bytearray()
        self._given = 0
        self._skipped = 0  # What is still to come of a frame without data.
        self._frame: Frame | None = None
        self._blocks = 0

    def decompress(self, packed: bytes, room: int, /) -> bytes:
        """Return what the bytes so far unpack to, less what was returned before.

        Raises:
            WorkExceeded: They are too many blocks for so little.
            ValueError: They are damaged.
        """
        skipped, packed = min(self._skipped, len(packed)), packed[self._skipped :]
        self._skipped -= skipped
        self._packed += packed
        most = self._given + room
        begun = self._unpack(most)
        content = self._content
        if begun and len(content) < most:
            content = content.copy()
            self._unpack_one(begun, content, most)
        fresh = bytes(content[self._given : most])
        self._given += len(fresh)
        return fresh

    def _unpack(self, most: int) -> bytes:
        """Unpack blocks that are whole; return the one that is not, with its word."""
        packed, here = bytes(self._packed), 0
        while here + 4 <= len(packed) and len(self._content) < most:
            word = int.from_bytes(packed[here : here + 4], "little")
            self._blocks += 1
            if self._blocks > MAX_BLOCKS:
                raise WorkExceeded
            if self._frame is None:
                here += self._begin(packed[here : here + LONGEST_HEADER])
                continue
            length = word & ~UNPACKED_BLOCK
            if length > self._frame.most and self._frame.is_legacy and begins_frame(packed[here : here + 4]):
                self._frame = None
                continue
            if here + 4 + length > len(packed):
                break
            if word == 0:
                here += 4 + self._frame.end_bytes
                self._frame = None
                continue
            self._unpack_one(packed[here : here + 4 + length], self._content, most)
            here += 4 + length + self._frame.block_end_bytes
        self._skipped = max(here - len(packed), 0)
        self.is_between = here == len(packed) and (self._frame is None or self._frame.is_legacy)
        del self._packed[:here]
        return packed[here:] if self._frame is not None else b""

    def _begin(self, header: bytes) -> int:
        """Begin a frame; return how long its header is, or all of it where it is to be skipped."""
        if header[:4] in (FRAME, LEGACY):
            self._frame = Frame(header)
            return self._frame.header_bytes
        return frame_bytes(header)

    def _unpack_one(self, block: bytes, content: bytearray, most: int) -> None:
        if int.from_bytes(block[:4], "little") & UNPACKED_BLOCK:
            content += block[4:][: most - len(content)]
        else:
            unpack_block(block[4:], content, most)


def unpack_block(block: bytes, content: bytearray, most: int) -> None:
    """Unpack a block, or the beginning of one, behind what was unpacked before, up to `most` bytes in all.

    Raises:
        ValueError: It refers to what is not there.
    """
    here = 0
    while here < len(block) and len(content) < most:
        token = block[here]
        literals, here = _length(block, here + 1, token >> 4)
        content += block[here : here + min(literals, most - len(content))]
        here += literals
        if here + 2 > len(block):
            return
        distance = int.from_bytes(block[here : here + 2], "little")
        copied, here = _length(block, here + 2, token & 15)
        if not 0 < distance <= len(content):
            raise ValueError("a distance")
        copied = min(copied + 4, max(most - len(content), 0))
        pattern = bytes(content[-distance:][:copied])
        content += (pattern * (copied // len(pattern) + 1))[:copied] if pattern else b""


def _length(block: bytes, here: int, length: int) -> tuple[int, int]:
    """Return a length that goes on in further bytes while they are 255, and where it ends."""
    if length == 15:
        while here < len(block):
            length += block[here]
            here += 1
            if block[here - 1] != 255:
                break
    return length, here
