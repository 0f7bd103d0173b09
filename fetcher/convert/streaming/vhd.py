"""Dynamic and fixed VHD to raw.

A dynamic VHD has its block table first. A fixed one is the disk itself with a footer behind it, so
only its end tells what it is: it is converted where the submitter or a guard has said so.
The size is the one that the footer gives, whatever geometry stands beside it.
Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0.
"""

from array import array
from collections.abc import Iterator
from struct import Struct

from fetcher.convert.streaming.mapped import Mapped, Piece
from fetcher.convert.streaming.tables import MAX_BLOCKS, numbers, pieces
from fetcher.convert.streaming.values import (
    PIECE_BYTES,
    Converter,
    Output,
    Recall,
    Staged,
    Streamable,
    WriteAt,
    unsafe,
)
from fetcher.convert.streaming.window import Blocks
from fetcher.model import BLOCK_BYTES

COOKIE, HEADER_COOKIE = b"conectix", b"cxsparse"
FOOTER = Struct(">8sIIQI4sI4sQQHBBII")
HEADER = Struct(">8sQQIIII")
FOOTER_BYTES, HEADER_BYTES, SECTOR = 512, 1024, 512
FIXED, DYNAMIC = 2, 3
MAX_BYTES = 0xFF00_0000 * SECTOR
UNUSED = 0xFFFF_FFFF


def plan(head: bytes) -> Streamable | Staged:
    """Decide by the footer's copy and the header whether a dynamic VHD streams.

    Raises:
        FormatUnsafe: It needs a parent, or its tables do not fit its disk.
    """
    size, at = _check_footer(head[:FOOTER_BYTES], DYNAMIC)
    header = head[at : at + HEADER_BYTES]
    if len(header) < HEADER_BYTES:
        return Staged(reason="its header is not near its beginning")
    table_at, entries, block = _check_header(header)
    if entries * block < size:
        raise unsafe("vhd", "table", "its blocks do not cover its disk")
    if table_at < at + HEADER_BYTES:
        raise unsafe("vhd", "table", "its block table is not where one may be")
    if table_at > PIECE_BYTES:
        return Staged(reason="its block table is not near its beginning")
    needed = -(-size // block)
    if needed > MAX_BLOCKS:
        return Staged(reason="its block table is too large")

    def start(recall: Recall | None) -> Converter:
        return DynamicVhd(size, (table_at, needed), block, recall=recall)

    return Streamable(disk_format="vhd", virtual_bytes=size, start=start)


def plan_fixed(total_bytes: int) -> Streamable:
    """Plan for a fixed VHD of a length that is known, which is said to be one."""
    size = total_bytes - FOOTER_BYTES
    return Streamable(disk_format="vhd", virtual_bytes=size, start=lambda _recall: FixedVhd(size))


class DynamicVhd:
    """The converter of one dynamic VHD.

    Args:
        table: Place of the block table, and how many of its entries the disk needs.
    """

    def __init__(
        self, virtual_bytes: int, table: tuple[int, int], block: int, *, recall: Recall | None
    ) -> None:
        self.virtual_bytes = virtual_bytes
        self._block = block
        self._engine = Mapped("vhd", virtual_bytes, recall=recall)
        self._engine.expect(iter([Piece(table[0], table[1] * 4, 0, self._read_table)]), 1)
        self.feed = self._engine.feed

    def finish(self) -> Iterator[Output]:
        """Take the end of the image."""
        yield from self._engine.finish()

    def _read_table(self, table: bytes | memoryview) -> tuple[bytes, int]:
        entries = numbers(table, "big")
        order = array("I", (index for index, entry in enumerate(entries) if entry != UNUSED))
        order = array("I", sorted(order, key=entries.__getitem__))
        bitmap = -(-self._block // SECTOR // 8 // SECTOR) * SECTOR or SECTOR
        found = pieces(entries, order, (0, SECTOR, bitmap), self._block)
        self._engine.expect(found, len(order))
        return b"", len(table)


class FixedVhd:
    """The converter of one fixed VHD: all but the footer, which is checked."""

    def __init__(self, virtual_bytes: int) -> None:
        self.virtual_bytes = virtual_bytes
        self._blocks = Blocks()
        self._held = b""
        self._at = 0

    def feed(self, chunk: bytes) -> Iterator[Output]:
        """Take the next bytes of the image."""
        for block in self._blocks.feed(chunk):
            yield from self._pass(block)

    def finish(self) -> Iterator[Output]:
        """Take the end of the image: the footer has to be there and to give this size."""
        for block in self._blocks.finish():
            yield from self._pass(block)
        rest, footer = self._held[:-FOOTER_BYTES], self._held[-FOOTER_BYTES:]
        size, _ = _check_footer(footer, FIXED)
        if size != self._at + len(rest) or size != self.virtual_bytes:
            raise unsafe("vhd", "size", "the size in its footer is not the size of its disk")
        if rest:
            yield WriteAt(self._at, rest)

    def _pass(self, block: bytes) -> Iterator[Output]:
        """Give out whole blocks, so that zeros can be left out, and hold back what may be the footer."""
        whole = self._held + block
        ready = max(0, len(whole) - FOOTER_BYTES) // BLOCK_BYTES * BLOCK_BYTES
        self._held = whole[ready:]
        if self._at + ready > self.virtual_bytes:
            raise unsafe("vhd", "size", "it is longer than its disk")
        for at in range(0, ready, PIECE_BYTES):
            yield WriteAt(self._at + at, whole[at : min(at + PIECE_BYTES, ready)])
        self._at += ready


def _check_header(header: bytes) -> tuple[int, int, int]:
    """Return place and entries of the block table, and the size of a block."""
    cookie, _, table_at, version, entries, block, checksum = HEADER.unpack_from(header)
    if cookie != HEADER_COOKIE or _checksum(header, 36) != checksum or version != 0x0001_0000:
        raise unsafe("vhd", "header", "its dynamic header is damaged")
    if header[40:56] != bytes(16):
        raise unsafe("vhd", "reference", "it names a parent")
    if not 512 <= block <= 1 << 28 or block & (block - 1):
        raise unsafe("vhd", "table", "its block size is out of range")
    return table_at, entries, block


def _check_footer(footer: bytes, wanted: int) -> tuple[int, int]:
    """Return the size of the disk and the place of the header."""
    if len(footer) < FOOTER_BYTES or footer[:8] != COOKIE:
        raise unsafe("vhd", "footer", "its footer is missing")
    fields = FOOTER.unpack_from(footer)
    at, size, disk_type, checksum = fields[3], fields[9], fields[13], fields[14]
    if _checksum(footer, 64) != checksum:
        raise unsafe("vhd", "footer", "the checksum of its footer is wrong")
    if disk_type != wanted:
        raise unsafe("vhd", "reference", "it is a differencing disk, or its type does not fit its layout")
    if not 0 < size <= MAX_BYTES or (wanted == DYNAMIC and (at < FOOTER_BYTES or at % SECTOR)):
        raise unsafe("vhd", "footer", "its size or its header is out of range")
    return size, at


def _checksum(block: bytes, at: int) -> int:
    return ~(sum(block) - sum(block[at : at + 4])) & 0xFFFF_FFFF
