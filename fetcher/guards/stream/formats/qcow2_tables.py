"""The tables of a QCOW2 image, read while they stream past.

Specification: QEMU, docs/interop/qcow2.txt, "Cluster mapping".
Reads: the L1 table, and the L2 tables that lie behind it.
Structure: every table and cluster begins inside the file and is aligned. A last cluster may be cut,
    because writers leave out its end; so a file that is cut short shows as soon as a cluster is missing.
Safety: none; what is safe is decided by the header.
"""

from dataclasses import dataclass
from functools import reduce
from operator import or_

from fetcher.guards.stream.formats.report import Report, Steps, windows
from fetcher.guards.stream.formats.tables import integers

OFFSET = 0x00FF_FFFF_FFFF_FE00
COMPRESSED_BYTE = 0x40  # In the first byte of an L2 entry.
COMPRESSED = COMPRESSED_BYTE << 56
MOST_TABLES = 16_384  # What is remembered of them, 128 KiB; 8 TiB at the usual cluster size.


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where the tables lie and how they are read."""

    l1_offset: int
    l1_entries: int
    cluster_bits: int
    has_subclusters: bool

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits


def follow(geometry: Geometry, report: Report) -> Steps:
    """Learn the farthest byte that the tables refer to."""
    found: set[int] = set()
    end = geometry.l1_offset + geometry.l1_entries * 8
    for window in windows(geometry.l1_offset, geometry.l1_entries * 8):
        offsets = set(map(OFFSET.__and__, integers((yield window), 8, "big"))) - {0}
        if reduce(or_, offsets, 0) & (geometry.cluster - 1):
            report.broke("qcow2-table-place", "an L2 table is not where one may be")
            return
        report.reaches(max(offsets, default=0) + geometry.cluster, "L2 table")
        if len(found) <= MOST_TABLES:
            found |= offsets
    if len(found) > MOST_TABLES or min(found, default=end) < end:
        return
    for table in sorted(found):
        for window in windows(table, geometry.cluster):
            _note_clusters((yield window), geometry, report)
            if report.findings:
                return
    report.facts["tables_read"] = True


def _note_clusters(table: bytes, geometry: Geometry, report: Report) -> None:
    if table.count(0) == len(table):
        return
    entries = integers(table, 8, "big")
    width = 8
    if geometry.has_subclusters:
        entries, width = entries[::2], 16
    if any(first & COMPRESSED_BYTE for first in set(table[::width])):
        place = (1 << (62 - (geometry.cluster_bits - 8))) - 1
        packed = [entry & place for entry in entries if entry & COMPRESSED]
        report.reaches(max(packed, default=0) + 1, "compressed data")
        plain = {entry & OFFSET for entry in entries if not entry & COMPRESSED}
    else:
        plain = set(map(OFFSET.__and__, entries))
    if reduce(or_, plain, 0) & (geometry.cluster - 1):
        report.broke("qcow2-table-place", "a cluster is not where one may be")
    farthest = max(plain, default=0)
    if farthest:
        report.reaches(farthest + 1, "data")
