"""The grains of a VMDK and the tables that name them, read while they stream past.

Specification: VMware, Virtual Disk Format 1.1, "Hosted Sparse Extents" and "Stream-Optimized Compressed
    Sparse Extents".
Reads: the grain directory and the grain tables where they lie behind it; of a stream each marker, and the
    tables behind the markers.
Structure: every grain begins inside the file; of a stream each grain's place on the disk is one where a
    grain may be, its length is one that a packed grain may have, and markers lead from one to the next.
Safety: no table is named twice or named as a grain, and no more grains are mapped than there are; the
    tables of a stream, by which some readers go, name what its markers, by which others go, mark.
"""

from struct import Struct

from fetcher.guards.stream.formats.disks.tables import integers, round_up
from fetcher.guards.stream.formats.report import CUT_SHORT, Report, Steps, Window, windows

SECTOR = 512
TABLE_ENTRIES = 512
HEADER_SECTORS = 2  # A header, and a descriptor of at least one sector.
MAX_TABLES = 16_384  # What is remembered of them; 512 GiB at the usual grain size.
MARKER = Struct("<QII")
MARKER_BYTES, GRAIN_MARKER_BYTES = 16, 12
END_OF_STREAM, TABLE, DIRECTORY, FOOTER = range(4)
OVERLAP = "a table or a grain is used for two things"


def follow(report: Report, directory: int, tables: int, least_grain: int) -> Steps:
    """Read the grain directory where it lies behind the head, then the tables behind it.

    Args:
        directory: Where it begins, in bytes.
        tables: How many entries it has.
        least_grain: Bytes that a grain takes in the file at least.
    """
    places: set[int] = set()
    end = directory + tables * 4
    yield from _follow_directory(report, directory, tables, places)
    starts = sorted(place * SECTOR for place in places)
    if report.findings or len(starts) > MAX_TABLES or (starts and starts[0] < end):
        return
    mapped = 0
    for start in starts:
        table = yield Window(start, TABLE_ENTRIES * 4)
        grains = [place for place in integers(table, 4, "little") if place > 1]
        mapped += len(grains)
        is_free = all(place >= HEADER_SECTORS and not directory <= place * SECTOR < end for place in grains)
        is_single = len(set(grains)) == len(grains) and places.isdisjoint(grains)
        report.require(is_free and is_single, "vmdk-overlap", OVERLAP)
        report.reaches(max(grains, default=0) * SECTOR + 1, "grains")
        if report.findings:
            return
    report.reaches(mapped * least_grain, "grains, each of which is mapped once,")
    report.facts["tables_read"] = True


def _follow_directory(report: Report, directory: int, tables: int, places: set[int]) -> Steps:
    for window in windows(directory, tables * 4):
        found = [place for place in integers((yield window), 4, "little") if place > 1]
        is_single = len(set(found)) == len(found) and places.isdisjoint(found)
        report.require(is_single, "vmdk-overlap", OVERLAP)
        report.reaches(max(found, default=0) * SECTOR + TABLE_ENTRIES * 4, "grain tables")
        if report.findings:
            return
        if len(places) <= MAX_TABLES:
            places.update(found)


class Stream:
    """Goes from marker to marker.

    Args:
        start: Where the first marker lies.
        capacity: Sectors of the disk.
        grain: Sectors of a grain.

    Attributes:
        is_begun: It was followed at all, which of a member of an OVA it is not.
        directory_at: Where the last grain directory lies; 0 before there is one.
    """

    def __init__(self, report: Report, start: int, capacity: int, grain: int) -> None:
        self.is_begun = False
        self.directory_at = 0
        self._report = report
        self._at = start
        self._capacity = capacity
        self._grain = grain
        self._grains = 0
        self._mapped = 0
        self._tables: set[int] = set()

    def steps(self) -> Steps:
        """Follow the markers to the end of the stream."""
        self.is_begun = True
        while not self._report.findings:
            marker = yield Window(self._at, MARKER_BYTES)
            if len(marker) < MARKER_BYTES:
                return  # What is missing shows at the end.
            value, size, kind = MARKER.unpack(marker)
            if size:
                self._pass_grain(value, size)
                continue
            self._at += SECTOR
            if kind in (END_OF_STREAM, FOOTER):
                self._conclude()
                return
            if kind == TABLE and value * SECTOR == TABLE_ENTRIES * 4:
                yield from self._table()
            elif kind == DIRECTORY and value:
                yield from self._directory(value * SECTOR)
            else:
                self._report.broke("vmdk-marker", "a marker in it is damaged or not known", CUT_SHORT)

    def _pass_grain(self, place: int, size: int) -> None:
        grain_bytes = self._grain * SECTOR
        fits = place % self._grain == 0 and place < self._capacity and size <= 2 * grain_bytes + SECTOR
        self._report.require(fits, "vmdk-marker", "a marker in it is damaged or not known", CUT_SHORT)
        self._grains += 1
        self._at += round_up(GRAIN_MARKER_BYTES + size, SECTOR)
        self._report.reaches(self._at, "grains")

    def _table(self) -> Steps:
        table = yield Window(self._at, TABLE_ENTRIES * 4)
        grains = [place for place in integers(table, 4, "little") if place > 1]
        behind = max(grains, default=0) * SECTOR < self._at
        is_single = len(set(grains)) == len(grains) and self._tables.isdisjoint(grains)
        self._report.require(behind and is_single, "vmdk-overlap", OVERLAP)
        self._mapped += len(grains)
        if len(self._tables) <= MAX_TABLES:
            self._tables.add(self._at // SECTOR)
        self._at += TABLE_ENTRIES * 4

    def _directory(self, size: int) -> Steps:
        self.directory_at = self._at
        named: list[int] = []
        for window in windows(self._at, size):
            named += [place for place in integers((yield window), 4, "little") if place > 1]
            if len(named) > MAX_TABLES:
                break
        self._at += size
        is_known = len(named) > MAX_TABLES or (
            len(set(named)) == len(named) and self._tables.issuperset(named)
        )
        self._report.require(
            is_known, "vmdk-directory", "its grain directory names what its markers do not mark as tables"
        )

    def _conclude(self) -> None:
        fits = self._mapped <= self._grains
        self._report.require(fits, "vmdk-overlap", OVERLAP)
        self._report.facts["tables_read"] = True
