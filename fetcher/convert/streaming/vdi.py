"""VDI to raw: the block map comes first, blocks of 1 MiB follow in any order.

Source: QEMU, block/vdi.c.
"""

from array import array
from collections.abc import Iterator
from struct import Struct

from fetcher.convert.streaming.mapped import Mapped, Piece
from fetcher.convert.streaming.tables import MAX_BLOCKS, numbers, pieces
from fetcher.convert.streaming.values import Converter, Output, Recall, Staged, Streamable, unsafe

SIGNATURE_AT, SIGNATURE = 0x40, b"\x7f\x10\xda\xbe"
HEADER = Struct("<64s4sIIII256sIIIIIIIQIIII16s16s16s16s")
BLOCK = 1 << 20
UNALLOCATED = 0xFFFF_FFFE  # And the number after it: discarded, reads as zeros.


def plan(head: bytes) -> Streamable | Staged:
    """Decide by the header whether a VDI image streams.

    Raises:
        FormatUnsafe: It needs another file, or its tables do not fit its disk.
    """
    if len(head) < HEADER.size:
        raise unsafe("vdi", "header", "its header is cut short")
    fields = HEADER.unpack_from(head)
    version, image_type, map_at, data_at = fields[2], fields[4], fields[7], fields[8]
    sector, size, block, blocks, used = fields[12], fields[14], fields[15], fields[17], fields[18]
    if version != 0x0001_0001 or image_type not in (1, 2) or fields[21] != bytes(16):
        raise unsafe("vdi", "reference", "it needs another file, or its version is not 1.1")
    if sector != 512 or block != BLOCK or fields[16] or not 0 < size <= blocks * BLOCK or used > blocks:
        raise unsafe("vdi", "header", "its blocks do not cover its disk")
    if map_at < 512 or data_at < map_at + blocks * 4 or map_at % 512 or data_at % 512:
        raise unsafe("vdi", "table", "its block map or its data is not where one may be")
    if blocks > MAX_BLOCKS:
        return Staged(reason="its block map is too large")

    def start(recall: Recall | None) -> Converter:
        return Vdi(size, (map_at, blocks), (data_at, used), recall=recall)

    return Streamable(disk_format="vdi", virtual_bytes=size, start=start)


class Vdi:
    """The converter of one VDI image.

    Args:
        table: Place and number of entries of the block map.
        blocks: Place and number of the blocks in the file.
    """

    def __init__(
        self, virtual_bytes: int, table: tuple[int, int], blocks: tuple[int, int], *, recall: Recall | None
    ) -> None:
        self.virtual_bytes = virtual_bytes
        self._data_at, self._used = blocks
        self._engine = Mapped("vdi", virtual_bytes, recall=recall)
        self._engine.expect(iter([Piece(table[0], table[1] * 4, 0, self._read_map)]), 1)
        self.feed = self._engine.feed

    def finish(self) -> Iterator[Output]:
        """Take the end of the image."""
        yield from self._engine.finish()

    def _read_map(self, table: bytes | memoryview) -> tuple[bytes, int]:
        entries = numbers(table, "little")
        order = array("I", (index for index, entry in enumerate(entries) if entry < UNALLOCATED))
        order = array("I", sorted(order, key=entries.__getitem__))
        if order and entries[order[-1]] >= self._used:
            raise unsafe("vdi", "table", "its block map names a block that it does not have")
        self._engine.expect(pieces(entries, order, (self._data_at, BLOCK, 0), BLOCK), len(order))
        return b"", len(table)
