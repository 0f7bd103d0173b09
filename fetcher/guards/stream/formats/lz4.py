"""LZ4, in its frame format and in the legacy one that kernels use.

Specification: LZ4 Frame Format Description 1.6.
Reads: every frame header and every block size of 4 bytes, and none of the data between them.
Structure: frames follow one another to the very end of the file; version 1, no reserved bit, blocks
    no larger than the frame says.
Safety: no dictionary, which would be another file. It is kept as it is and never unpacked here.
"""

from collections.abc import Generator
from functools import partial

from fetcher.guards.stream.formats.report import CUT_SHORT, Kind, Report, Role, Steps, Window

LZ4 = Kind(key="lz4", words="an LZ4 archive", role=Role.PACKED)

FRAME, LEGACY = b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"
SKIPPABLE_MAGIC = 0x184D_2A50  # To ...5F.
BLOCK_BYTES = {4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22}
LEGACY_BLOCK = (8 << 20) + (8 << 20) // 255 + 16
UNPACKED_BLOCK = 1 << 31
BLOCK_CHECKSUM, CONTENT_SIZE, CONTENT_CHECKSUM, RESERVED, DICTIONARY = 16, 8, 4, 2, 1


def recognise(head: bytes) -> Report | None:
    """Find LZ4 by the magic of either format."""
    if head[:4] not in (FRAME, LEGACY):
        return None
    report = Report(kind=LZ4, name="LZ4 archive" if head[:4] == FRAME else "LZ4 archive, legacy")
    report.follow = partial(_follow, report)
    return report


def _follow(report: Report) -> Steps:
    """Go from frame to frame until the file ends, which it may only between two of them."""
    at = 0
    while not report.findings:
        magic = yield Window(at, 4)
        if not magic:
            return
        walk = _Walk(at + 4)
        if magic == FRAME:
            yield from walk.frame(report)
        elif magic == LEGACY:
            yield from walk.legacy(report)
            return
        elif int.from_bytes(magic, "little") & ~0xF == SKIPPABLE_MAGIC:
            walk.at += 4 + int.from_bytes((yield Window(walk.at, 4)), "little")
        else:
            report.broke("lz4-frame", "something that is no frame follows a frame", CUT_SHORT)
        at = walk.at
        report.reaches(at, "frames")


class _Walk:
    """One frame, read header by header.

    Args:
        at: The byte after its magic; then the byte that is read next.
    """

    def __init__(self, at: int) -> None:
        self.at = at

    def frame(self, report: Report) -> Steps:
        header = yield Window(self.at, 2)
        flags, block = (header + bytes(2))[:2]
        most = BLOCK_BYTES.get(block >> 4 & 7, 0)
        sound = flags >> 6 == 1 and not flags & RESERVED and not block & 0x8F and most
        report.require(bool(sound), "lz4-frame", "a frame header is damaged", CUT_SHORT)
        report.require(
            not flags & DICTIONARY, "lz4-dictionary", "it needs a dictionary, which is another file"
        )
        self.at += 3 + (8 if flags & CONTENT_SIZE else 0)
        while not report.findings:
            size = yield from self._size(report, most)
            if size == 0:
                break
            self.at += size + (4 if flags & BLOCK_CHECKSUM else 0)
        self.at += 4 if flags & CONTENT_CHECKSUM else 0

    def _size(self, report: Report, most: int) -> Generator[Window, bytes, int]:
        word = yield Window(self.at, 4)
        self.at += 4
        size = int.from_bytes(word, "little") & ~UNPACKED_BLOCK
        report.require(len(word) == 4, "lz4-cut-short", "it ends inside a frame", CUT_SHORT)
        report.require(size <= most, "lz4-block", "a block is larger than its frame allows", CUT_SHORT)
        return size

    def legacy(self, report: Report) -> Steps:
        while not report.findings:
            word = yield Window(self.at, 4)
            if not word:
                return
            size = int.from_bytes(word, "little")
            report.require(
                len(word) == 4 and 0 < size <= LEGACY_BLOCK, "lz4-block", "a block is damaged", CUT_SHORT
            )
            self.at += 4 + size
            report.reaches(self.at, "blocks")
