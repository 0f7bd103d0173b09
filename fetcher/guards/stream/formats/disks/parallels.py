"""Parallels' expanding disk image, which OpenVZ calls ploop.

Specification: QEMU, docs/interop/parallels.txt.
Reads: the header of 64 bytes; the block allocation table behind it.
Structure: version 2, a disk of at least one sector, clusters in range; the table covers the disk, and
    every cluster begins inside the file, behind the table.
Safety: it was closed, so no repair changes what was judged; no extension that is not looked at. No cluster
    lies over another within 64 KiB of the table, and no more are mapped than the file has, so that a small
    file does not become a large disk.
"""

from functools import partial
from itertools import pairwise
from struct import Struct

from fetcher.guards.stream.formats.disks.tables import integers, round_up
from fetcher.guards.stream.formats.report import CUT_SHORT, NO_DISK, Kind, Report, Role, Steps, windows

PARALLELS = Kind(
    key="parallels", words="a Parallels disk image", role=Role.DISK, disk_format="ploop", qemu="parallels"
)

OLD, EXTENDED = b"WithoutFreeSpace", b"WithouFreSpacExt"
HEADER = Struct("<16sIIIIIQIIIQ")
SECTOR = 512
IN_USE = 0x746F_6E59
MAX_CLUSTER_SECTORS = 1 << 20
MAX_ENTRIES = 1 << 26


def recognise(head: bytes) -> Report | None:
    """Find Parallels by either magic."""
    if head[:16] not in (OLD, EXTENDED):
        return None
    report = Report(kind=PARALLELS, name="Parallels disk image")
    if len(head) < HEADER.size:
        report.broke("parallels-header", "its header is cut short", CUT_SHORT)
        return report
    magic, version, _, _, cluster, entries, sectors, in_use, data, _, extension = HEADER.unpack_from(head)
    if magic == OLD:
        sectors &= 0xFFFF_FFFF
    report.virtual_bytes = sectors * SECTOR
    require = report.require
    require(version == 2, "parallels-version", "its version is not 2")
    require(0 < cluster <= MAX_CLUSTER_SECTORS, "parallels-cluster", "its cluster size is out of range")
    require(sectors > 0, "empty-disk", "it describes a disk of no bytes", NO_DISK)
    covered = entries * cluster >= sectors and entries <= MAX_ENTRIES
    require(covered, "parallels-size", "its table does not cover its disk")
    require(
        in_use != IN_USE, "parallels-in-use", "it was not closed", "Close what uses it, and copy it again."
    )
    require(extension == 0, "parallels-extension", "it has an extension that is not known")
    report.data_at = round_up(HEADER.size + entries * 4, SECTOR)
    report.reaches(HEADER.size + entries * 4, "table")
    report.reaches(data * SECTOR, "header")
    if not report.findings:
        unit = SECTOR if magic == OLD else SECTOR * cluster
        report.follow = partial(_follow, report, entries, unit, SECTOR * cluster)
    return report


def _follow(report: Report, entries: int, unit: int, cluster: int) -> Steps:
    """Read the table, to learn where the clusters lie.

    Args:
        entries: Of the table.
        unit: Bytes that an entry counts in.
        cluster: Bytes of a cluster.
    """
    mapped, end = 0, HEADER.size + entries * 4
    for window in windows(HEADER.size, entries * 4):
        table = yield window
        places = [place for place in integers(table, 4, "little") if place]
        if not places:
            continue
        if min(places) * unit < end or not _lie_apart(places, cluster // unit):
            report.broke("parallels-overlap", "a cluster lies in its table or over another cluster")
            return
        mapped += len(places)
        report.reaches(max(places) * unit + 1, "clusters")
        report.reaches(end + (mapped - 1) * cluster + 1, "clusters, each of which is mapped once,")
    report.facts["tables_read"] = True


def _lie_apart(places: list[int], step: int) -> bool:
    """Answer whether no two places are nearer than a step."""
    distinct = set(places)
    if step == 1 or len(distinct) < len(places):
        return len(distinct) == len(places)
    return all(later - former >= step for former, later in pairwise(sorted(distinct)))
