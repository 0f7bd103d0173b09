"""VMDK streamOptimized to raw: each compressed grain carries its place on the disk.

Grains have to come in the order of the disk, as every writer writes them; the tables that follow
them are skipped, since they say the same.
Source: VMware, Virtual Disk Format 1.1; QEMU, block/vmdk.c.
"""

from collections.abc import Iterator
from struct import Struct

from isal import isal_zlib

from fetcher.convert.streaming.inflate import ISAL_ERROR
from fetcher.convert.streaming.values import (
    PIECE_BYTES,
    Converter,
    NotStreamable,
    Output,
    Recall,
    Staged,
    Streamable,
    WriteAt,
    unsafe,
)

MAGIC = b"KDMV"
HEADER = Struct("<4sIIQQQQIQQQ")
COMPRESSION_AT = 77
COMPRESSED, MARKERS = 1 << 16, 1 << 17
SECTOR = 512
GRAIN = Struct("<QI")
GRAIN_HEADER, METADATA_KIND = 12, Struct("<I")
END, TABLE, DIRECTORY, FOOTER = range(4)
MOST_CAPACITY = 1 << 41  # Sectors: 1 PiB.
DESCRIPTOR_BYTES = 10_240
STREAM = b'createType="streamOptimized"'


def plan(head: bytes) -> Streamable | Staged:
    """Decide by the header whether a VMDK image streams.

    Raises:
        FormatUnsafe: Its header breaks a rule.
    """
    if len(head) < COMPRESSION_AT + 2:
        raise unsafe("vmdk", "header", "its header is cut short")
    _, version, flags, capacity, grain, _, _, entries, _, _, overhead = HEADER.unpack_from(head)
    if not 1 <= version <= 3 or not 0 < capacity <= MOST_CAPACITY or entries != 512:
        raise unsafe("vmdk", "header", "its header is out of range")
    if grain & (grain - 1) or not 2 <= grain <= 256:
        raise unsafe("vmdk", "header", "its grain size is out of range")
    compression = int.from_bytes(head[COMPRESSION_AT : COMPRESSION_AT + 2], "little")
    if not flags & COMPRESSED or not flags & MARKERS or compression != 1:
        return Staged(reason="it is no streamOptimized VMDK")
    if STREAM.lower() not in head[SECTOR : SECTOR + DESCRIPTOR_BYTES].lower():
        return Staged(reason="its descriptor does not say that it is streamOptimized")
    if overhead < 1 or overhead > 1 << 31:
        raise unsafe("vmdk", "header", "the place of its grains is out of range")

    def start(_recall: Recall | None) -> Converter:
        return StreamVmdk(capacity * SECTOR, grain * SECTOR, overhead * SECTOR)

    return Streamable(disk_format="vmdk", virtual_bytes=capacity * SECTOR, start=start)


class StreamVmdk:
    """The converter of one streamOptimized VMDK.

    Memory: one compressed grain, at most twice a grain and a sector, beside the chunk that comes in.

    Args:
        skip: Bytes before the first grain.
    """

    def __init__(self, virtual_bytes: int, grain: int, skip: int) -> None:
        self.virtual_bytes = virtual_bytes
        self._grain = grain
        self._skip = skip
        self._rest = b""
        self._next_sector = 0
        self._is_over = False

    def feed(self, chunk: bytes) -> Iterator[Output]:
        """Take the next bytes of the image."""
        view = memoryview(chunk)
        for at in range(0, len(view), PIECE_BYTES):
            yield from self._take(view[at : at + PIECE_BYTES])

    def finish(self) -> Iterator[Output]:
        """Take the end of the image: it has to have said so itself."""
        yield from ()
        if not self._is_over:
            raise unsafe("vmdk", "cut-short", "its end-of-stream marker is missing")

    def _take(self, chunk: memoryview) -> Iterator[Output]:
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        if self._is_over or skipped == len(chunk):
            return
        found = self._rest + bytes(chunk[skipped:])
        at = 0
        while len(found) - at >= SECTOR and not self._is_over:
            length = self._length(found, at)
            if at + length > len(found):
                break
            sector, size = _marker(found, at)
            if size:
                yield self._unpack(sector, found[at + GRAIN_HEADER : at + GRAIN_HEADER + size])
            at += length
        if at <= len(found):
            self._rest = found[at:]

    def _length(self, found: bytes, at: int) -> int:
        """Return how long the grain or the metadata is; skip long metadata instead of gathering it."""
        sectors, size = _marker(found, at)
        if size:
            if size > 2 * self._grain + SECTOR:
                raise unsafe("vmdk", "grain", "one of its grains is larger than it may be")
            return -(-(GRAIN_HEADER + size) // SECTOR) * SECTOR
        (kind,) = METADATA_KIND.unpack_from(found, at + GRAIN_HEADER)
        if kind == END and sectors == 0:
            self._is_over = True
            return SECTOR
        if kind not in (TABLE, DIRECTORY, FOOTER) or sectors > 1 << 31:
            raise unsafe("vmdk", "marker", "it has a marker that is not known")
        self._skip = max(0, at + SECTOR + sectors * SECTOR - len(found))
        return SECTOR + sectors * SECTOR - self._skip

    def _unpack(self, sector: int, packed: bytes) -> WriteAt:
        if sector + self._grain // SECTOR == self._next_sector:
            raise unsafe("vmdk", "overlap", "one of its grains comes twice")
        if sector < self._next_sector:
            raise NotStreamable("its grains do not come in the order of the disk")
        if sector * SECTOR % self._grain or sector * SECTOR >= self.virtual_bytes:
            raise unsafe("vmdk", "grain", "one of its grains does not lie on the disk")
        self._next_sector = sector + self._grain // SECTOR
        decoder = isal_zlib.decompressobj()
        try:
            data = decoder.decompress(packed, self._grain + 1)
        except ISAL_ERROR as error:
            raise unsafe("vmdk", "compressed", "one of its grains is damaged") from error
        wanted = min(self._grain, self.virtual_bytes - sector * SECTOR)
        if not wanted <= len(data) <= self._grain or not decoder.eof:
            raise unsafe("vmdk", "compressed", "one of its grains is damaged")
        return WriteAt(sector * SECTOR, data[:wanted])


def _marker(found: bytes, at: int) -> tuple[int, int]:
    """Return the two fields that grains and metadata begin with."""
    sector, size = GRAIN.unpack_from(found, at)
    return int(sector), int(size)
