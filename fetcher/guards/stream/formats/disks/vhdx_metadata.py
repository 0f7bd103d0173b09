"""VHDX: its metadata region and its block allocation table.

Specification: Microsoft, [MS-VHDX] sections 2.5 and 2.6.
Reads: the metadata table and the items it names; the block allocation table where it lies behind.
Structure: every known item once, of its own length, inside the region; block, sector and disk sizes
    in range; the table covers the disk; every block lies inside the file, the disk's last one as far as the
    disk goes, none in the headers, the log or a region, and no more are mapped than fit in it.
Safety: no parent and no parent locator, no block left to a parent, no required item that is not known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise
from struct import Struct
from uuid import UUID

from fetcher.guards.stream.formats.disks.tables import integers, is_power_of_two
from fetcher.guards.stream.formats.report import Report, Steps, Window, windows

TABLE = Struct("<8sHH")
ENTRY = Struct("<16sIII")
TABLE_HEADER_BYTES, ENTRY_BYTES, TABLE_BYTES = 32, 32, 65_536
MAX_ENTRIES = 2_047
REQUIRED = 4
MEBIBYTE = 1 << 20
ENTRY_OF_TABLE = 8
MAX_BYTES = 64 << 40  # By the specification.
PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
PAGE_83 = UUID("beca12ab-b2e6-4523-93ef-c309e000c746").bytes_le
LOGICAL = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f").bytes_le
PHYSICAL = UUID("cda348c7-445d-4471-9cc9-e9885251c556").bytes_le
PARENT = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le
LENGTHS = {PARAMETERS: 8, SIZE: 8, PAGE_83: 16, LOGICAL: 4, PHYSICAL: 4}
NEEDED = (PARAMETERS, SIZE, LOGICAL)
HAS_PARENT = 2
PARTLY_PRESENT, FULLY_PRESENT = 7, 6
FLATTEN = "Merge it with its parent, for example with Hyper-V's Convert-VHD."


@dataclass
class Disk:
    """The metadata of the disk.

    Args:
        size: Bytes that a guest sees.
        block: Bytes of a block.
        sector: Bytes of a logical sector.
    """

    size: int = 0
    block: int = 0
    sector: int = 0


def check_metadata(report: Report, offset: int, length: int, disk: Disk) -> Steps:
    """Read the table and the items of the metadata region into `disk`."""
    table = yield Window(offset, TABLE_BYTES)
    if len(table) < TABLE_BYTES or table[:8] != b"metadata":
        report.broke("vhdx-metadata", "its metadata table is missing")
        return
    places = _read_table(table, length, report)
    for name in sorted(places, key=places.__getitem__):
        value = yield Window(offset + places[name], LENGTHS[name])
        if len(value) == LENGTHS[name] and not report.findings:
            _read_item(name, int.from_bytes(value, "little"), report, disk)
    if not report.findings:
        _check_disk(report, disk)


def _read_table(table: bytes, length: int, report: Report) -> dict[bytes, int]:
    """Return where the known items lie, after checks on all."""
    count = TABLE.unpack_from(table)[2]
    report.require(count <= MAX_ENTRIES, "vhdx-metadata", "its metadata table has too many entries")
    places: dict[bytes, int] = {}
    seen: set[bytes] = set()
    for name, at, size, flags in _entries(table, min(count, MAX_ENTRIES)):
        report.require(name not in seen, "vhdx-metadata", "it names a metadata item twice")
        seen.add(name)
        report.require(name != PARENT, "vhdx-parent", "it names a parent", FLATTEN)
        if name not in LENGTHS:
            report.require(
                not flags & REQUIRED, "vhdx-metadata", "it requires a metadata item that is not known"
            )
            continue
        fits = at >= TABLE_BYTES and at + size <= length and size == LENGTHS[name]
        report.require(fits, "vhdx-metadata", "a metadata item is not where or as long as it may be")
        places[name] = at
    missing = [name for name in NEEDED if name not in places]
    report.require(not missing, "vhdx-metadata", "its metadata are incomplete")
    ordered = sorted((at, at + LENGTHS[name]) for name, at in places.items())
    overlap = any(former[1] > latter[0] for former, latter in pairwise(ordered))
    report.require(not overlap, "vhdx-metadata", "its metadata items overlap")
    return {} if report.findings else places


def _entries(table: bytes, count: int) -> Iterator[tuple[bytes, int, int, int]]:
    for number in range(count):
        yield ENTRY.unpack_from(table, TABLE_HEADER_BYTES + number * ENTRY_BYTES)


def _read_item(name: bytes, value: int, report: Report, disk: Disk) -> None:
    if name == PARAMETERS:
        disk.block = value & 0xFFFF_FFFF
        report.require(not value >> 32 & HAS_PARENT, "vhdx-parent", "it needs a parent", FLATTEN)
    elif name == SIZE:
        disk.size = value
    elif name == LOGICAL:
        disk.sector = value


def _check_disk(report: Report, disk: Disk) -> None:
    report.require(disk.sector in (512, 4096), "vhdx-sector", "its sector size is neither 512 nor 4096")
    report.require(
        is_power_of_two(disk.block) and MEBIBYTE <= disk.block <= 256 * MEBIBYTE,
        "vhdx-block",
        "its block size is out of range",
    )
    report.require(
        0 < disk.size <= MAX_BYTES and disk.size % 512 == 0,
        "vhdx-size",
        "the size of its disk is out of range",
    )
    report.virtual_bytes = disk.size
    report.facts["block_bytes"] = disk.block


class BlockTable:
    """The block allocation table, read while it streams past.

    Args:
        report: Where to note what is found.
        offset: Of its region.
        length: Of its region.
        taken: Offset and length of the regions and the log, which no block may reach into.
    """

    def __init__(self, report: Report, offset: int, length: int, taken: Sequence[tuple[int, int]]) -> None:
        self.report = report
        self.offset = offset
        self.length = length
        self.taken = taken
        self.farthest: list[tuple[int, int]] = []
        self.last_mapped = -1
        self.mapped = 0

    def read_all(self) -> Steps:
        """Read the whole region, where it comes before what states how much of it is used."""
        yield from self._read(self.length, MEBIBYTE)

    def read_for(self, disk: Disk) -> Steps:
        """Read the part of it that the disk uses."""
        yield from self._read(min(self.length, _table_bytes(disk)), disk.block)

    def _read(self, length: int, block: int) -> Steps:
        for window in windows(self.offset, length):
            table = yield window
            numbers = [] if table.count(0) == len(table) else integers(table, 8, "little").tolist()
            if any(number & 7 == PARTLY_PRESENT for number in numbers):
                self.report.broke("vhdx-parent", "it leaves blocks to a parent", FLATTEN)
                return
            present = [number >> 20 << 20 for number in numbers if number & 7 == FULLY_PRESENT]
            self.mapped += len(present)
            is_free = min(present, default=MEBIBYTE) >= MEBIBYTE and not any(
                offset - block < place < offset + size for offset, size in self.taken for place in present
            )
            if not is_free or len(set(present)) < len(present):
                self.report.broke("vhdx-overlap", "a block lies in its headers or tables, or is used twice")
                return
            if present:
                self._keep(numbers, present, (window.offset - self.offset) // ENTRY_OF_TABLE)
        self.report.facts["tables_read"] = True

    def _keep(self, numbers: list[int], present: list[int], first: int) -> None:
        """Keep the two farthest blocks: the farthest may be short, so that the other ends behind it."""
        least = self.farthest[-1][0] if len(self.farthest) > 1 else 0
        for place in nlargest(2, present):
            if place > least:
                entry = next(at for at, number in enumerate(numbers) if _place_of(number) == place)
                self.farthest = nlargest(2, [*self.farthest, (place, first + entry)])
        behind = next(at for at, number in enumerate(reversed(numbers)) if number & 7 == FULLY_PRESENT)
        self.last_mapped = first + len(numbers) - 1 - behind

    def check(self, disk: Disk) -> None:
        """Check that the table covers the disk, and note how far its blocks reach."""
        needed = _table_bytes(disk)
        covers = needed <= self.length
        self.report.require(covers, "vhdx-size", "its block table does not cover its disk")
        last = needed // ENTRY_OF_TABLE - 1
        rest = (disk.size - 1) % disk.block + 1  # Of the last block, which writers may leave out behind it.
        for place, entry in self.farthest:
            self.report.reaches(place + (rest if entry == last else disk.block), "blocks")
        if self.mapped:
            shorter = disk.block - rest if self.last_mapped == last else 0
            least = MEBIBYTE + self.mapped * disk.block - shorter
            self.report.reaches(least, "blocks, each of which is mapped once,")


def _place_of(number: int) -> int:
    """Return where an entry of the table says that a whole block lies; zero where it maps none."""
    return number >> 20 << 20 if number & 7 == FULLY_PRESENT else 0


def _table_bytes(disk: Disk) -> int:
    ratio = (1 << 23) * disk.sector // disk.block
    blocks = -(-disk.size // disk.block)
    return (blocks + (blocks - 1) // ratio) * ENTRY_OF_TABLE
