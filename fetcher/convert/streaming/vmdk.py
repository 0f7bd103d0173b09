"""VMDK streamOptimized to raw: each compressed grain carries its place on the disk.

Grains have to come in the order of the disk, as every writer writes them; the tables before or behind
them are held against where they lie.
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
from fetcher.convert.streaming.vmdk_tables import ENTRIES, TABLE_SECTORS, Layout, Tables

MAGIC = b"KDMV"
HEADER = Struct("<4sIIQQQQIQQQ")
COMPRESSION_AT = 77
ZERO_GRAINS, COMPRESSED, MARKERS = 1 << 2, 1 << 16, 1 << 17
SECTOR = 512
GRAIN = Struct("<QI")
GRAIN_HEADER, METADATA_KIND = 12, Struct("<I")
END, TABLE, DIRECTORY, FOOTER = range(4)
MAX_CAPACITY = 1 << 41  # Sectors: 1 PiB.
MAX_PADDING = 128  # Sectors that a directory may be longer than its entries.
DESCRIPTOR_BYTES = 10_240
STREAM = b'createType="streamOptimized"'


def plan(head: bytes) -> Streamable | Staged:
    """Decide by the header whether a VMDK image streams.

    Raises:
        FormatUnsafe: Its header breaks a rule.
    """
    if len(head) < COMPRESSION_AT + 2:
        raise unsafe("vmdk", "header", "its header is cut short")
    _, version, flags, capacity, grain, _, _, entries, _, directory, overhead = HEADER.unpack_from(head)
    if not 1 <= version <= 3 or not 0 < capacity <= MAX_CAPACITY or entries != ENTRIES:
        raise unsafe("vmdk", "header", "its header is out of range")
    if grain & (grain - 1) or not 2 <= grain <= 256:
        raise unsafe("vmdk", "header", "its grain size is out of range")
    other = _other_kind(head, flags)
    if other:
        return Staged(reason=other)
    if overhead < 1 or overhead > 1 << 31:
        raise unsafe("vmdk", "header", "the place of its grains is out of range")

    layout = Layout(
        count=-(-capacity // (grain * ENTRIES)),
        directory=directory,
        front_sectors=overhead,
        has_zeros=bool(flags & ZERO_GRAINS),
    )
    if layout.is_large:
        return Staged(reason="its tables are larger than are compared while it comes in")
    layout.check()

    def start(_recall: Recall | None) -> Converter:
        return StreamVmdk(capacity * SECTOR, grain * SECTOR, layout)

    return Streamable(disk_format="vmdk", virtual_bytes=capacity * SECTOR, start=start)


def _other_kind(head: bytes, flags: int) -> str:
    """Return why an image is none whose grains follow each other; empty: it is one."""
    compression = int.from_bytes(head[COMPRESSION_AT : COMPRESSION_AT + 2], "little")
    if not flags & COMPRESSED or not flags & MARKERS or compression != 1:
        return "it is no streamOptimized VMDK"
    if STREAM.lower() not in head[SECTOR : SECTOR + DESCRIPTOR_BYTES].lower():
        return "its descriptor does not say that it is streamOptimized"
    return ""


class StreamVmdk:
    """The converter of one streamOptimized VMDK.

    Memory: one compressed grain, at most twice a grain and a sector, or one directory, beside the chunk that
    comes in and what the tables keep.
    """

    def __init__(self, virtual_bytes: int, grain: int, layout: Layout) -> None:
        self.virtual_bytes = virtual_bytes
        self._grain = grain
        self._tables: Tables = layout.tables()
        self._front = bytearray()
        self._front_bytes = self._tables.front_sectors * SECTOR
        self._skip = layout.front_sectors * SECTOR - self._front_bytes
        self._directory_sectors = -(-4 * layout.count // SECTOR)
        self._at = self._skip  # Where in the file the rest lies, and what follows it.
        self._rest = b""
        self._next_sector = 0
        self._is_over = False

    def feed(self, chunk: bytes) -> Iterator[Output]:
        """Take the next bytes of the image."""
        view = memoryview(chunk)
        if len(self._front) < self._front_bytes:
            view = self._open(view)
        for at in range(0, len(view), PIECE_BYTES):
            yield from self._take(view[at : at + PIECE_BYTES])

    def finish(self) -> Iterator[Output]:
        """Take the end of the image: it has to have said so itself, or its tables have."""
        yield from ()
        if self._is_over:
            return
        if self._rest or self._skip or self._tables.needs_end_marker:
            raise unsafe("vmdk", "cut-short", "its end-of-stream marker is missing")
        self._tables.end()  # qemu-img writes no marker, but where its last grain leaves room for one.

    def _open(self, chunk: memoryview) -> memoryview:
        """Gather the beginning of the file; return what is behind it."""
        wanted = self._front_bytes - len(self._front)
        self._front += chunk[:wanted]
        if len(self._front) == self._front_bytes:
            self._tables.open(bytes(self._front))
            self._at = self._front_bytes
        return chunk[wanted:]

    def _take(self, chunk: memoryview) -> Iterator[Output]:
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        if skipped == len(chunk):
            return
        found = self._rest + bytes(chunk[skipped:])
        at = 0
        while len(found) - at >= SECTOR and not self._is_over:
            sectors, size = _marker(found, at)
            length = self._grain_length(size) if size else self._metadata_length(found, at, sectors)
            if at + length > len(found):
                break
            if size:
                yield self._unpack(sectors, found[at + GRAIN_HEADER : at + GRAIN_HEADER + size], at)
            else:
                self._compare(found[at : at + length], (self._at + at) // SECTOR + 1)
            at += length
        self._at += at
        self._rest = found[at:]
        if self._is_over and self._rest.strip(b"\0"):
            raise unsafe("vmdk", "trailing", "bytes follow its end-of-stream marker")
        self._rest = b"" if self._is_over else self._rest

    def _grain_length(self, size: int) -> int:
        if size > 2 * self._grain + SECTOR:
            raise unsafe("vmdk", "grain", "one of its grains is larger than it may be")
        return -(-(GRAIN_HEADER + size) // SECTOR) * SECTOR

    def _metadata_length(self, found: bytes, at: int, sectors: int) -> int:
        (kind,) = METADATA_KIND.unpack_from(found, at + GRAIN_HEADER)
        known = {
            END: range(1),
            TABLE: range(TABLE_SECTORS, TABLE_SECTORS + 1),
            DIRECTORY: range(self._directory_sectors, self._directory_sectors + MAX_PADDING),
            FOOTER: range(1, 2),
        }
        if sectors not in known.get(kind, ()):
            raise unsafe("vmdk", "marker", "it has a marker that is not known, or is longer than it may be")
        return SECTOR + sectors * SECTOR

    def _compare(self, metadata: bytes, sector: int) -> None:
        """Have metadata compared with the grains that came; `sector` is where it lies behind its marker."""
        (kind,) = METADATA_KIND.unpack_from(metadata, GRAIN_HEADER)
        data = metadata[SECTOR:]
        if kind == TABLE:
            self._tables.table(sector, data)
        elif kind == DIRECTORY:
            self._tables.directory(sector, data)
        elif kind == FOOTER:
            self._tables.footer(self._directory_by(data))
        else:
            self._tables.end()
            self._is_over = True

    def _directory_by(self, footer: bytes) -> int:
        magic, _, _, capacity, grain, _, _, entries, _, directory, _ = HEADER.unpack_from(footer)
        is_same = (capacity * SECTOR, grain * SECTOR, entries) == (self.virtual_bytes, self._grain, ENTRIES)
        if magic != MAGIC or not is_same:
            raise unsafe("vmdk", "footer", "its footer does not say what its header says")
        return int(directory)

    def _unpack(self, sector: int, packed: bytes, at: int) -> WriteAt:
        if sector + self._grain // SECTOR == self._next_sector:
            raise unsafe("vmdk", "overlap", "one of its grains comes twice")
        if sector < self._next_sector:
            raise NotStreamable("its grains do not come in the order of the disk")
        if sector * SECTOR % self._grain or sector * SECTOR >= self.virtual_bytes:
            raise unsafe("vmdk", "grain", "one of its grains does not lie on the disk")
        self._next_sector = sector + self._grain // SECTOR
        self._tables.grain(sector * SECTOR // self._grain, (self._at + at) // SECTOR)
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
