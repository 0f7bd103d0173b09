"""The tables of a streamOptimized VMDK, held against the grains that came.

A grain says itself where on the disk it belongs, and a table says so a second time. Readers follow the
tables: where the two differ, the file is two disks, and the one that was judged is not the one that boots.
Source: VMware, Virtual Disk Format 1.1; QEMU, block/vmdk.c.
"""

from array import array
from dataclasses import dataclass
from struct import Struct
from typing import Protocol

from fetcher.convert.streaming.values import NotStreamable, unsafe
from fetcher.errors import FormatUnsafe

SECTOR = 512
ENTRIES = 512
TABLE = Struct(f"<{ENTRIES}I")
TABLE_SECTORS = TABLE.size // SECTOR
NO_GRAIN = bytes(TABLE.size)
MAX_FRONT_SECTORS = 32_768
"""Of tables that lie before the grains: 16 MiB, for a disk of 128 GiB with both its directories."""
MAX_TABLES = 1 << 18
"""Tables of one disk whose places are remembered: 8 TiB in grains of 64 KiB."""
MAX_GRAINS = 1 << 22
"""Grains that wait for the table that names them: 32 MiB of memory."""
MAX_EMPTY = 1 << 16
MAX_DIRECTORIES = 8
BEHIND = (1 << 64) - 1
"""The place of the directory by a header that leaves it to the footer."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The places of a disk's tables by its header.

    Args:
        count: Of tables.
        directory: The directory's sector, or `BEHIND`.
        front_sectors: Before the first grain.
        has_zeros: Whether an entry of 1 stands for a grain of zeros.
    """

    count: int
    directory: int
    front_sectors: int
    has_zeros: bool

    @property
    def is_large(self) -> bool:
        """Return whether the tables are more than are kept in memory."""
        return self.count > MAX_TABLES or (self._is_front and self.front_sectors > MAX_FRONT_SECTORS)

    @property
    def _is_front(self) -> bool:
        return self.directory < self.front_sectors

    def check(self) -> None:
        """Refuse a directory that lies half before the grains."""
        if self._is_front and self.directory * SECTOR + 4 * self.count > self.front_sectors * SECTOR:
            raise unsafe("vmdk", "header", "its directory does not lie before its grains")

    def tables(self) -> "Tables":
        """Return what compares them."""
        if self._is_front:
            return FrontTables(self.count, self.directory, self.front_sectors, has_zeros=self.has_zeros)
        return TablesBehind(self.count, self.directory, has_zeros=self.has_zeros)


class Tables(Protocol):
    """The tables of one disk, in the order in which they and the grains come.

    Raises:
        FormatUnsafe: Tables and grains are not of one disk.
        NotStreamable: Comparing them would take more memory than there may be.
    """

    front_sectors: int
    """The sectors at the beginning of the file that `open` wants."""
    needs_end_marker: bool
    """True where nothing but the marker at its end tells that the file is whole."""

    def open(self, front: bytes) -> None:
        """Take the beginning of the file."""

    def grain(self, number: int, sector: int) -> None:
        """Note a grain of the disk, and at which sector of the file it lies; numbers only rise."""

    def table(self, sector: int, data: bytes) -> None:
        """Take a grain table, and where it lies."""

    def directory(self, sector: int, data: bytes) -> None:
        """Take a grain directory, and where it lies."""

    def footer(self, directory: int) -> None:
        """Take the place of the directory by the footer."""

    def end(self) -> None:
        """Judge what is left to judge, with the end marker."""


def two_disks() -> FormatUnsafe:
    """Return the refusal of a file whose tables lead to other grains than lie in it."""
    return unsafe("vmdk", "tables", "its tables and its grains are of two different disks")


class FrontTables:
    """Tables that lie before the grains, as qemu-img writes them.

    Args:
        count: Of tables.
        directory: The sector of the directory.
        front_sectors: Before the first grain.
        has_zeros: Whether an entry of 1 stands for a grain of zeros.
    """

    needs_end_marker = False

    def __init__(self, count: int, directory: int, front_sectors: int, *, has_zeros: bool) -> None:
        self.front_sectors = front_sectors
        self._count = count
        self._directory = directory
        self._has_zeros = has_zeros
        self._front = b""
        self._places: tuple[int, ...] = ()
        self._seen = bytearray(count)
        self._table = -1
        self._named: dict[int, int] = {}

    def open(self, front: bytes) -> None:
        self._front = front
        self._places = Struct(f"<{self._count}I").unpack_from(front, self._directory * SECTOR)
        if any(0 < place > self.front_sectors - TABLE_SECTORS for place in self._places):
            raise unsafe("vmdk", "tables", "one of its tables does not lie before its grains")

    def grain(self, number: int, sector: int) -> None:
        table, entry = divmod(number, ENTRIES)
        if table != self._table:
            self._leave()
            self._table, self._named = table, named(self._data(table), has_zeros=self._has_zeros)
            self._seen[table] = 1
        if self._named.pop(entry, None) != sector:
            raise two_disks()

    def table(self, sector: int, data: bytes) -> None:
        """Do nothing: the header names other tables."""

    def directory(self, sector: int, data: bytes) -> None:
        """Do nothing: the header names another one."""

    def footer(self, directory: int) -> None:
        """Do nothing: a header that knows its directory needs none."""

    def end(self) -> None:
        if self._named:
            raise self._cut_short()
        for table in range(self._count):
            data = NO_GRAIN if self._seen[table] else self._data(table)
            if data != NO_GRAIN and named(data, has_zeros=self._has_zeros):
                raise self._cut_short()

    @staticmethod
    def _cut_short() -> FormatUnsafe:
        return unsafe("vmdk", "cut-short", "grains that its tables name are missing")

    def _leave(self) -> None:
        if self._named:
            raise two_disks()

    def _data(self, table: int) -> bytes:
        place = self._places[table] * SECTOR
        return self._front[place : place + TABLE.size] if place else NO_GRAIN


class TablesBehind:
    """Tables that follow the grains they name, as VMware writes them.

    Args:
        count: Of tables.
        directory: Its sector by the header, or `BEHIND`.
        has_zeros: Whether an entry of 1 stands for a grain of zeros.
    """

    front_sectors = 0
    needs_end_marker = True

    def __init__(self, count: int, directory: int, *, has_zeros: bool) -> None:
        self._count = count
        self._directory = directory
        self._has_zeros = has_zeros
        self._waiting: dict[int, array[int]] = {}  # Entries and sectors in turns, by their table's number.
        self._waiting_grains = 0
        self._first: dict[int, int] = {}  # Tables that grains wait for, by the sector of the first.
        self._places = array("I", bytes(4 * count))
        self._empty: set[int] = set()
        self._directories: set[int] = set()
        self._is_last_a_footer = False

    def open(self, front: bytes) -> None:
        """Do nothing: there is none."""

    def grain(self, number: int, sector: int) -> None:
        self._is_last_a_footer = False
        table, entry = divmod(number, ENTRIES)
        if sector >= 1 << 32 or self._places[table]:
            raise two_disks()  # No table has room for it, or its own has gone by.
        if table not in self._waiting:
            self._waiting[table] = array("I")
            self._first[sector] = table
        self._waiting[table].extend((entry, sector))
        self._waiting_grains += 1
        if self._waiting_grains > MAX_GRAINS:
            raise NotStreamable("its tables come too late to be compared with its grains")

    def table(self, sector: int, data: bytes) -> None:
        self._is_last_a_footer = False
        found = named(data, has_zeros=self._has_zeros)
        if not found:
            self._empty.add(sector)
            if len(self._empty) > MAX_EMPTY:
                raise NotStreamable("it has more empty tables than are remembered")
            return
        table = self._first.pop(next(iter(found.values())), None)
        if table is None:
            raise two_disks()
        waiting = self._waiting.pop(table)
        if dict(zip(waiting[::2], waiting[1::2], strict=True)) != found:
            raise two_disks()
        self._waiting_grains -= len(found)
        self._places[table] = sector

    def directory(self, sector: int, data: bytes) -> None:
        self._is_last_a_footer = False
        if self._waiting:
            raise two_disks()
        places = Struct(f"<{self._count}I").unpack_from(data)
        for place, known in zip(places, self._places, strict=True):
            if place != known and (known or (place and place not in self._empty)):
                raise two_disks()
        self._directories.add(sector)
        if len(self._directories) > MAX_DIRECTORIES:
            raise unsafe("vmdk", "tables", "it has more directories than a disk may have")

    def footer(self, directory: int) -> None:
        self._is_last_a_footer = True
        if directory not in self._directories:
            raise two_disks()

    def end(self) -> None:
        if self._waiting:
            raise two_disks()
        if self._directory == BEHIND and not self._is_last_a_footer:
            raise unsafe("vmdk", "tables", "it does not end with a footer, by which readers find its tables")
        if self._directory != BEHIND and self._directory not in self._directories:
            raise two_disks()


def named(data: bytes, *, has_zeros: bool) -> dict[int, int]:
    """Return the sectors of grains that a table names, by their entries."""
    least = 1 if has_zeros else 0
    return {entry: sector for entry, sector in enumerate(TABLE.unpack(data)) if sector > least}
