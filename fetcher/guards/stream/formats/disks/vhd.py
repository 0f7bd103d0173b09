"""VHD, Microsoft's Virtual Hard Disk, dynamic and fixed (qemu: vpc).

Specification: Microsoft, Virtual Hard Disk Image Format Specification 1.0 (2006).
Reads: dynamic: the copy of the footer at byte 0, the dynamic header, the block allocation table.
    Fixed: nothing but the footer, so that a fixed VHD is a raw disk until its last 512 bytes.
Structure: both checksums; block size a power of two; the table covers the disk and lies inside the
    file, as every block does; blocks overlap neither the table
    nor each other; the footer at the end is the one at the beginning; the geometry, by which some readers go,
    is not that of a larger disk.
Safety: types fixed (2) and dynamic (3) only: a differencing disk needs another file.
"""

from functools import partial
from itertools import pairwise
from struct import Struct

from fetcher.guards.stream.formats.disks.tables import integers, is_power_of_two, round_up
from fetcher.guards.stream.formats.report import CUT_SHORT, End, Kind, Report, Role, Steps, Window, windows

VHD = Kind(key="vhd", words="a VHD disk image", role=Role.DISK, disk_format="vhd", qemu="vpc")

COOKIE, HEADER_COOKIE = b"conectix", b"cxsparse"
FOOTER = Struct(">8sIIQI4sI4sQQHBBII")
HEADER = Struct(">8sQQIIII")
FOOTER_BYTES, HEADER_BYTES, SECTOR = 512, 1024, 512
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
MAX_BYTES = 0xFF00_0000 * SECTOR  # 2040 GiB, by the specification.
UNUSED = 0xFFFF_FFFF
PARENT_END = 768  # Of the name and the eight locators of a parent, which only a differencing disk has.
BY_SIZE = (b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS", b"wa\0\0")
"""Creators whose disks every reader takes by their size; else qemu goes by the geometry."""
LARGEST_GEOMETRY = (65_535, 16, 255)
FLATTEN = "Merge it with its parent, for example with Hyper-V's Convert-VHD."


def recognise(head: bytes) -> Report | None:
    """Find a dynamic VHD by the footer's cookie at the beginning."""
    if head[:8] != COOKIE:
        return None
    report = Report(kind=VHD, name="VHD disk image, dynamic", facts={"type": "dynamic"})
    if len(head) < FOOTER_BYTES:
        report.broke("vhd-header", "its footer is cut short", CUT_SHORT)
        return report
    _check_footer(head[:FOOTER_BYTES], report, DYNAMIC)
    at = FOOTER.unpack_from(head)[3]
    report.require(
        FOOTER_BYTES <= at <= 1 << 40 and at % 512 == 0, "vhd-header", "its header is not where one may be"
    )
    if at >= FOOTER_BYTES and at + HEADER_BYTES <= len(head):
        table_at, entries = (HEADER.unpack_from(head, at)[index] for index in (2, 4))
        report.data_at = round_up(max(table_at + entries * 4, at + HEADER_BYTES), SECTOR)
    if not report.findings:
        report.follow = partial(_follow, report, at)
        report.close = partial(_close, report, head[:FOOTER_BYTES])
    return report


def recognise_end(end: End) -> Report | None:
    """Find a fixed VHD by the footer at the end, after the head did not show a dynamic one."""
    footer = end.tail[-FOOTER_BYTES:]
    if footer[:8] != COOKIE or len(footer) < FOOTER_BYTES:
        return None
    report = Report(kind=VHD, name="VHD disk image, fixed", facts={"type": "fixed"})
    _check_footer(footer, report, FIXED)
    report.reaches((report.virtual_bytes or 0) + FOOTER_BYTES, "disk")
    return report


def _check_footer(footer: bytes, report: Report, wanted: int) -> None:
    """Check one footer, its checksum first: what it says counts only then."""
    size, disk_type, checksum = (FOOTER.unpack_from(footer)[index] for index in (9, 13, 14))
    report.virtual_bytes = size
    report.require(
        _checksum(footer, 64) == checksum, "vhd-checksum", "the checksum of its footer is wrong", CUT_SHORT
    )
    report.require(
        disk_type != DIFFERENCING, "vhd-parent", "it is a differencing disk, which needs its parent", FLATTEN
    )
    report.require(
        disk_type in (wanted, DIFFERENCING), "vhd-type", "its type does not fit its layout", CUT_SHORT
    )
    report.require(0 < size <= MAX_BYTES, "vhd-size", "the size of its disk is out of range")
    _check_geometry(footer, report, size)


def _check_geometry(footer: bytes, report: Report, size: int) -> None:
    """Check that no reader sees a larger disk than the size stated; the last cylinder may exceed it."""
    fields = FOOTER.unpack_from(footer)
    creator, geometry = fields[5], fields[10:13]
    cylinders, heads, sectors = geometry
    larger = cylinders * heads * sectors * SECTOR - size
    report.require(
        larger < heads * sectors * SECTOR
        or creator in BY_SIZE
        or geometry == LARGEST_GEOMETRY
        or larger <= 0,
        "vhd-geometry",
        "its geometry is that of a larger disk than its size",
        "Write it anew: `qemu-img convert -f vpc -O vpc -o force_size=on SOURCE TARGET`.",
    )


def _checksum(block: bytes, at: int) -> int:
    return ~(sum(block) - sum(block[at : at + 4])) & 0xFFFF_FFFF


def _follow(report: Report, at: int) -> Steps:
    """Read the dynamic header and the block allocation table."""
    header = yield Window(at, HEADER_BYTES)
    if len(header) < HEADER_BYTES or header[:8] != HEADER_COOKIE:
        report.broke("vhd-header", "its dynamic header is missing", CUT_SHORT)
        return
    _, _, table_at, version, entries, block, checksum = HEADER.unpack_from(header)
    report.require(
        _checksum(header, 36) == checksum, "vhd-checksum", "the checksum of its header is wrong", CUT_SHORT
    )
    report.require(version == 0x0001_0000, "vhd-version", "the version of its header is not 1.0")
    report.require(
        is_power_of_two(block) and 512 <= block <= 1 << 28, "vhd-block", "its block size is out of range"
    )
    names_none = not any(header[40:56]) and not any(header[64:PARENT_END])
    report.require(names_none, "vhd-parent", "it names a parent", FLATTEN)
    covered = entries * block >= (report.virtual_bytes or 0)
    report.require(covered and entries * 4 <= 1 << 27, "vhd-size", "its blocks do not cover its disk")
    report.require(
        table_at >= at + HEADER_BYTES, "vhd-table-place", "its block table is not where one may be"
    )
    report.reaches(table_at + entries * 4 + FOOTER_BYTES, "block table")
    if not report.findings:
        report.facts["block_bytes"] = block
        yield from _follow_table(report, table_at, entries, block)


def _follow_table(report: Report, table_at: int, entries: int, block: int) -> Steps:
    size = round_up(block // SECTOR // 8, SECTOR) + block
    end, mapped = table_at + entries * 4, 0
    for window in windows(table_at, entries * 4):
        places = sorted(number * SECTOR for number in integers((yield window), 4, "big") if number != UNUSED)
        if not places:
            continue
        mapped += len(places)
        apart = all(latter - former >= size for former, latter in pairwise(places))
        report.require(
            apart and places[0] >= end, "vhd-overlap", "its blocks overlap each other or its table"
        )
        report.reaches(places[-1] + size + FOOTER_BYTES, "blocks")
        if report.findings:
            return
    report.reaches(
        end // SECTOR * SECTOR + mapped * size + FOOTER_BYTES, "blocks, each of which is mapped once,"
    )
    report.facts["tables_read"] = True


def _close(report: Report, first: bytes, end: End) -> None:
    report.require(
        end.tail[-FOOTER_BYTES:] == first,
        "vhd-footer",
        "the footer at its end is not the one at its beginning",
        CUT_SHORT,
    )
