"""The tables of a QCOW2 image, read while they stream past.

Specification: QEMU, docs/interop/qcow2.txt, "Cluster mapping" and "Host cluster management".
Reads: the refcount table where it lies before the L1 table; the L1 table; the L2 tables that lie behind it.
Structure: every table and cluster begins inside the file and is aligned. A last cluster may be cut,
    because writers leave out its end; so a file that is cut short shows as soon as a cluster is missing.
    No reserved bit; no table that is named twice. A part of a divided cluster is allocated, reads as zeros or
    neither, and is not allocated where there is no cluster.
Safety: no entry names a table or the header as data; no cluster is mapped twice, whether by one table or by
    two, among the first 524,288 of the file (32 GiB at the usual size); and no more clusters are mapped than
    the file has, so that a small file does not become a large disk. Of compressed clusters, which lie side by
    side in one of the file's, no two of one table begin at the same byte.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from fetcher.guards.stream.formats.disks.tables import integers
from fetcher.guards.stream.formats.report import Report, Steps, windows

OFFSET = 0x00FF_FFFF_FFFF_FE00
COPIED, ZERO = 1 << 63, 1
COMPRESSED_BYTE = 0x40  # In the first byte of an L2 entry.
COMPRESSED = COMPRESSED_BYTE << 56
LOW_HALF = 0xFFFF_FFFF
LEAST_PACKED_BYTES = 8  # Of a compressed cluster: no codec makes less of one.
MAX_TABLES = 16_384  # What is remembered of them; 8 TiB at the usual cluster size.
MAX_MARKED = 524_288  # Clusters that are remembered as mapped, with a byte each.
OVERLAP = "a table or a cluster is used for two things"


@dataclass(kw_only=True)
class Geometry:
    """The places of the tables, and the way they are read.

    Args:
        taken: Where clusters lie that cannot be data.
        plain: How many clusters are mapped as they are.
        packed: How many are mapped compressed.
        marks: A byte for each of the first clusters of the file, which is 1 once the cluster is mapped.
    """

    version: int
    l1_offset: int
    l1_entries: int
    reftable_offset: int
    reftable_bytes: int
    cluster_bits: int
    has_subclusters: bool
    taken: set[int] = field(default_factory=set)
    plain: int = 0
    packed: int = 0
    marks: bytearray = field(default_factory=bytearray)

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def reserved(self) -> int:
        """Return the bits of an entry of an L2 table that have no meaning."""
        zero = 0 if self.version == 2 or self.has_subclusters else ZERO
        return ~(OFFSET | COPIED | COMPRESSED | zero)

    def clusters(self, offset: int, length: int) -> range:
        """Return where the clusters of a table begin."""
        return range(offset, offset + length, self.cluster)


def follow(geometry: Geometry, report: Report) -> Steps:
    """Learn what the tables refer to."""
    taken = geometry.taken
    taken.update(geometry.clusters(geometry.l1_offset, geometry.l1_entries * 8))
    table = geometry.clusters(geometry.reftable_offset, geometry.reftable_bytes)
    if not taken.isdisjoint(table):
        report.broke("qcow2-overlap", OVERLAP)
    taken.update(table)
    if geometry.reftable_offset + geometry.reftable_bytes <= geometry.l1_offset:
        yield from _follow_refcounts(geometry, report)
    found: set[int] = set()
    yield from _follow_l1(geometry, report, found)
    end = geometry.l1_offset + geometry.l1_entries * 8
    if report.findings or len(found) > MAX_TABLES or min(found, default=end) < end:
        return
    for place in sorted(found):
        for window in windows(place, geometry.cluster):
            _note_clusters((yield window), geometry, report)
            if report.findings:
                return
    report.reaches((geometry.plain + 1) * geometry.cluster, "clusters, each of which is mapped once,")
    report.reaches(geometry.packed * LEAST_PACKED_BYTES, "compressed clusters")
    report.facts["tables_read"] = True


def _follow_refcounts(geometry: Geometry, report: Report) -> Steps:
    """Learn where the blocks of the refcounts lie, which cannot be data either."""
    for window in windows(geometry.reftable_offset, geometry.reftable_bytes):
        blocks = [offset for offset in integers((yield window), 8, "big") if offset]
        if len(geometry.taken) > MAX_TABLES:
            return
        if len(set(blocks)) < len(blocks) or not geometry.taken.isdisjoint(blocks):
            report.broke("qcow2-overlap", OVERLAP)
        geometry.taken.update(blocks)


def _follow_l1(geometry: Geometry, report: Report, found: set[int]) -> Steps:
    for window in windows(geometry.l1_offset, geometry.l1_entries * 8):
        entries = [entry for entry in integers((yield window), 8, "big") if entry]
        offsets = {entry & OFFSET for entry in entries} - {0}
        every = reduce(or_, entries, 0)
        report.require(
            not every & ~(OFFSET | COPIED), "qcow2-reserved", "a reserved bit of its tables is set"
        )
        if every & OFFSET & (geometry.cluster - 1):
            report.broke("qcow2-table-place", "an L2 table is not where one may be")
        is_single = len(offsets) == sum(bool(entry & OFFSET) for entry in entries) and found.isdisjoint(
            offsets
        )
        if not is_single or not geometry.taken.isdisjoint(offsets):
            report.broke("qcow2-overlap", OVERLAP)
        report.reaches(max(offsets, default=0) + geometry.cluster, "L2 table")
        if report.findings:
            return
        if len(found) <= MAX_TABLES:
            found |= offsets
    geometry.taken |= found


def _note_clusters(table: bytes, geometry: Geometry, report: Report) -> None:
    if table.count(0) == len(table):
        return
    entries = integers(table, 8, "big")
    width = 8
    if geometry.has_subclusters:
        _check_bitmaps(zip(entries[::2], entries[1::2], strict=False), report)
        entries, width = entries[::2], 16
    mapped = [entry for entry in entries if entry]
    if any(first & COMPRESSED_BYTE for first in set(table[::width])):
        packed = [entry for entry in mapped if entry & COMPRESSED]
        mapped = [entry for entry in mapped if not entry & COMPRESSED]
        _note_packed(packed, geometry, report)
    every = reduce(or_, mapped, 0)
    report.require(not every & geometry.reserved, "qcow2-reserved", "a reserved bit of its tables is set")
    if every & OFFSET & (geometry.cluster - 1):
        report.broke("qcow2-table-place", "a cluster is not where one may be")
    plain = [offset for offset in map(OFFSET.__and__, mapped) if offset]
    distinct = set(plain)
    is_single = len(distinct) == len(plain) and _mark(distinct, geometry)
    if not is_single or not distinct.isdisjoint(geometry.taken):
        report.broke("qcow2-overlap", OVERLAP)
    geometry.plain += len(plain)
    report.reaches(max(distinct, default=-1) + 1, "data")


def _mark(places: set[int], geometry: Geometry) -> bool:
    """Remember which clusters are mapped, and return whether none of them was before."""
    marks, bits = geometry.marks, geometry.cluster_bits
    first, last = min(places, default=0) >> bits, max(places, default=-1) >> bits
    if not 0 <= first <= last or first >= MAX_MARKED:
        return True
    if len(marks) <= last:
        marks.extend(bytes(min(last + 1, MAX_MARKED) - len(marks)))
    if (
        last < MAX_MARKED and last - first == len(places) - 1
    ):  # As most tools write them, one behind the other.
        is_new = marks.find(1, first, last + 1) < 0
        marks[first : last + 1] = b"\1" * len(places)
        return is_new
    numbers = [number for place in places if (number := place >> bits) < MAX_MARKED]
    is_new = not any(map(marks.__getitem__, numbers))
    for number in numbers:
        marks[number] = 1
    return is_new


def _check_bitmaps(pairs: Iterable[tuple[int, int]], report: Report) -> None:
    """Check which parts of clusters the bitmaps call allocated and which they call zero."""
    for entry, bitmap in set(pairs):
        allocated, zeros = bitmap & LOW_HALF, bitmap >> 32
        if entry & COMPRESSED:
            report.require(not bitmap, "qcow2-reserved", "a reserved bit of its tables is set")
            continue
        is_sound = not allocated & zeros and not (allocated and not entry & OFFSET)
        report.require(is_sound, "qcow2-subclusters", "its bitmaps of divided clusters contradict themselves")


def _note_packed(packed: list[int], geometry: Geometry, report: Report) -> None:
    bits = (1 << (62 - (geometry.cluster_bits - 8))) - 1
    places = {entry & bits for entry in packed}
    if len(places) < len(packed) or min(places, default=geometry.cluster) < geometry.cluster:
        report.broke("qcow2-overlap", OVERLAP)
    geometry.packed += len(packed)
    report.reaches(max(places, default=0) + 1, "compressed data")
