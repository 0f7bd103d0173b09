"""VHDX, Hyper-V's disk image: its headers and region tables.

Specification: Microsoft, [MS-VHDX] sections 2.2 and 2.6.
Reads: the identifier; both headers at 64 and 128 KiB; both region tables at 192 and 256 KiB; the
    metadata region (see vhdx_metadata) and the block allocation table, wherever they lie.
Structure: a valid header; both region tables valid and the same, for readers differ in which one
    they take; regions inside the file, none over another or over the log.
Safety: no log to be replayed, because a replay would change what is judged here; no region that is
    required but not known; no parent.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

from fetcher.guards.stream.formats.disks.crc32c import crc32c
from fetcher.guards.stream.formats.disks.vhdx_metadata import BlockTable, Disk, check_metadata
from fetcher.guards.stream.formats.report import CUT_SHORT, Kind, Report, Role, Steps, Window

VHDX = Kind(key="vhdx", words="a VHDX disk image", role=Role.DISK, disk_format="vhdx", qemu="vhdx")

MAGIC = b"vhdxfile"
HEADERS, HEADER_BYTES = (65_536, 131_072), 4_096
HEADER = Struct("<4sIQ16s16s16sHHIQ")
TABLES, TABLE_BYTES = (196_608, 262_144), 65_536
TABLE = Struct("<4sIII")
ENTRY = Struct("<16sQII")
BLOCKS = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
MAX_ENTRIES = 2_047
MEBIBYTE = 1 << 20
CLOSE_IT = "Shut down what uses the image and copy it again, or repair it with `qemu-img check -r all`."


class Region(NamedTuple):
    """The place of a region."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Return the first byte after it."""
        return self.offset + self.length


def recognise(head: bytes) -> Report | None:
    """Find VHDX by its identifier."""
    if head[:8] != MAGIC:
        return None
    report = Report(kind=VHDX, name="VHDX disk image")
    report.follow = partial(_follow, report)
    report.reaches(MEBIBYTE, "header section")
    return report


def _follow(report: Report) -> Steps:
    first = yield Window(HEADERS[0], HEADER_BYTES)
    second = yield Window(HEADERS[1], HEADER_BYTES)
    log = _check_headers([first, second], report)
    first = yield Window(TABLES[0], TABLE_BYTES)
    second = yield Window(TABLES[1], TABLE_BYTES)
    regions = _read_regions(first, second, log, report)
    if report.findings:
        return
    metadata, blocks = regions[METADATA], regions[BLOCKS]
    disk = Disk()
    taken = sorted([*regions.values(), *log])
    table = BlockTable(report, blocks.offset, blocks.length, taken)
    if blocks.offset < metadata.offset:
        yield from table.read_all()
    yield from check_metadata(report, metadata.offset, metadata.length, disk)
    report.announce()
    if not report.findings and blocks.offset > metadata.offset:
        yield from table.read_for(disk)
    if not report.findings:
        table.check(disk)


def _check_headers(headers: list[bytes], report: Report) -> list[Region]:
    """Check the current header, valid and with the highest sequence number; return where its log lies."""
    valid = [
        HEADER.unpack_from(header)
        for header in headers
        if header[:4] == b"head" and len(header) == HEADER_BYTES and _is_sound(header)
    ]
    if not valid:
        report.broke("vhdx-header", "neither of its headers is valid", CUT_SHORT)
        return []
    sequence = max(header[2] for header in valid)
    current = {header for header in valid if header[2] == sequence}
    report.require(len(current) == 1, "vhdx-header", "its two headers have the same number and differ")
    return [_check_header(header, report) for header in sorted(current)]


def _check_header(header: tuple[Any, ...], report: Report) -> Region:
    """Check what one header says, and return where the log lies."""
    _, _, _, _, _, log, log_version, version, length, offset = header
    report.require(version == 1 and log_version == 0, "vhdx-version", "its version is not 1")
    report.require(log == bytes(16), "vhdx-log", "it has a log that was not replayed", CLOSE_IT)
    is_placed = offset >= MEBIBYTE and length > 0 and offset % MEBIBYTE == length % MEBIBYTE == 0
    report.require(is_placed, "vhdx-header", "its log is not where one may be")
    report.reaches(offset + length, "log")
    return Region(offset, length)


def _is_sound(block: bytes) -> bool:
    """Answer whether the checksum at byte 4 is that of the block."""
    return crc32c(block[:4] + bytes(4) + block[8:]) == int.from_bytes(block[4:8], "little")


def _read_regions(first: bytes, second: bytes, log: list[Region], report: Report) -> dict[bytes, Region]:
    report.require(
        len(first) == TABLE_BYTES and first[:4] == b"regi" and first == second and _is_sound(first),
        "vhdx-regions",
        "its two region tables are not valid, or not the same",
        CUT_SHORT,
    )
    if report.findings:
        return {}
    count = TABLE.unpack_from(first)[2]
    report.require(count <= MAX_ENTRIES, "vhdx-regions", "its region table has too many entries")
    regions: dict[bytes, Region] = {}
    for name, offset, length, flags in _entries(first, min(count, MAX_ENTRIES)):
        report.require(name not in regions, "vhdx-regions", "it names a region twice")
        report.require(
            name in (BLOCKS, METADATA) or not flags & 1,
            "vhdx-regions",
            "it requires a region that is not known",
        )
        report.require(
            offset >= MEBIBYTE and offset % MEBIBYTE == 0 and length % MEBIBYTE == 0 and length > 0,
            "vhdx-regions",
            "a region is not where one may be",
        )
        report.reaches(offset + length, "regions")
        regions[name] = Region(offset, length)
    _check_layout(regions, log, report)
    return regions


def _check_layout(regions: dict[bytes, Region], log: list[Region], report: Report) -> None:
    if BLOCKS not in regions or METADATA not in regions:
        report.broke("vhdx-regions", "its block table or its metadata is missing")
        return
    ordered = sorted([*regions.values(), *log])
    overlap = any(former.end > latter.offset for former, latter in pairwise(ordered))
    report.require(not overlap, "vhdx-regions", "its regions or its log overlap")


def _entries(table: bytes, count: int) -> Iterator[tuple[bytes, int, int, int]]:
    for number in range(count):
        yield ENTRY.unpack_from(table, TABLE.size + number * ENTRY.size)
