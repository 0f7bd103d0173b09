"""VMDK, VMware's disk image, hosted sparse: monolithicSparse and streamOptimized.

Specification: VMware, Virtual Disk Format 1.1; QEMU, block/vmdk.c (how it opens what it finds).
Reads: the header of 512 bytes and the 10,240 bytes behind it, which hold the descriptor; the footer,
    1,024 bytes before the end. For the tables between see vmdk_tables.
Structure: version 1 to 3, a disk of at least one sector, the descriptor in its place, grains of 1 to
    128 KiB, tables of 512 entries, the directory inside the file, the footer equal to the header.
Safety: what the descriptor says is checked in vmdk_descriptor. COWD (ESX) and bare text descriptors
    are refused whatever they say, because what they describe lies in other files.
"""

from functools import partial
from struct import Struct

from fetcher.guards.stream.formats.disks.tables import is_power_of_two
from fetcher.guards.stream.formats.disks.vmdk_descriptor import STREAM, check_descriptor
from fetcher.guards.stream.formats.disks.vmdk_tables import Stream, follow
from fetcher.guards.stream.formats.report import CUT_SHORT, End, Kind, Report, Role

VMDK = Kind(key="vmdk", words="a VMDK disk image", role=Role.DISK, disk_format="vmdk", qemu="vmdk")

SPARSE, ESX = b"KDMV", b"COWD"
HEADER = Struct("<4sIIQQQQIQQQ")
HEADER_BYTES, DESCRIPTOR_BYTES, SECTOR = 512, 10_240, 512
CHARACTERS_AT, CHARACTERS = 73, b"\n \r\n"
COMPRESSION_AT = 77
AT_END = (1 << 64) - 1
DIRECTORY_FIELD = slice(56, 64)
USES_CHARACTERS, REDUNDANT, COMPRESSED, MARKERS = 1, 2, 1 << 16, 1 << 17
TABLE_ENTRIES = 512
MAX_SECTORS = 1 << 41  # 1 PiB: far above any cap, and no overflow behind it.
FOOTER_BYTES = 1_536  # A marker, the footer, the end-of-stream marker.
FOOTER_MARKER = Struct("<QII")


def recognise(head: bytes) -> Report | None:
    """Find a sparse VMDK by its magic."""
    if head[:4] == ESX:
        report = Report(kind=VMDK, name="VMDK disk image, COWD", facts={"type": "COWD"})
        report.broke("vmdk-cowd", "it is a COWD image of ESX, which belongs to a separate descriptor", STREAM)
        return report
    if head[:4] != SPARSE:
        return None
    report = Report(kind=VMDK, name="VMDK disk image")
    if len(head) < HEADER_BYTES + SECTOR:
        report.broke("vmdk-header", "its header is cut short", CUT_SHORT)
        return report
    _check_header(head, report)
    descriptor = head[HEADER_BYTES : HEADER_BYTES + DESCRIPTOR_BYTES]
    check_descriptor(descriptor, report)
    if not report.findings:
        _continue(head, report)
    return report


def _check_header(head: bytes, report: Report) -> None:
    _, version, flags, capacity, grain, at, length, entries, _, directory, overhead = HEADER.unpack_from(head)
    require = report.require
    report.virtual_bytes = capacity * SECTOR
    report.facts |= {"version": version, "grain_bytes": grain * SECTOR}
    require(1 <= version <= 3, "vmdk-version", "its version is not 1, 2 or 3")
    require(capacity > 0, "vmdk-capacity", "its header gives no size, so that its descriptor would decide")
    require(capacity <= MAX_SECTORS, "vmdk-capacity", "the size of its disk is out of range")
    require(
        at == 1 and 1 <= length <= DESCRIPTOR_BYTES // SECTOR,
        "vmdk-descriptor-place",
        "its descriptor is not right behind the header",
    )
    require(is_power_of_two(grain) and 2 <= grain <= 256, "vmdk-grain", "its grain size is out of range")
    require(entries == TABLE_ENTRIES, "vmdk-grain", "its grain tables do not have 512 entries")
    characters = head[CHARACTERS_AT : CHARACTERS_AT + 4]
    require(
        not flags & USES_CHARACTERS or characters == CHARACTERS,
        "vmdk-newlines",
        "it was changed by a transfer as text",
        "Copy the file again in binary mode, and submit the copy.",
    )
    compression = int.from_bytes(head[COMPRESSION_AT : COMPRESSION_AT + 2], "little")
    require(compression in (0, 1), "vmdk-compression", "its compression is unknown")
    report.data_at = max(overhead, 2) * SECTOR
    if not report.findings:
        require(directory > length, "vmdk-table-place", "its grain directory is not where one may be")
        report.reaches(overhead * SECTOR, "metadata")


def _continue(head: bytes, report: Report) -> None:
    """Note what is left to read once the header has passed."""
    _, _, flags, capacity, grain, _, _, _, second, directory, overhead = HEADER.unpack_from(head)
    tables = -(-capacity // (grain * TABLE_ENTRIES))
    if directory == AT_END:
        stream = Stream(report, max(overhead, 2) * SECTOR, capacity, grain)
        report.require(
            bool(flags & MARKERS), "vmdk-marker", "its directory is at its end, but it has no markers"
        )
        report.follow = stream.steps
        report.close = partial(_close_stream, report, head[:HEADER_BYTES], tables, stream)
        return
    report.reaches(directory * SECTOR + tables * 4, "grain directory")
    if flags & REDUNDANT:
        report.reaches(second * SECTOR + tables * 4, "second grain directory")
    least_grain = SECTOR if flags & COMPRESSED else grain * SECTOR
    report.follow = partial(follow, report, directory * SECTOR, tables, least_grain)


def _close_stream(report: Report, header: bytes, tables: int, stream: Stream, end: End) -> None:
    """Check the footer of a stream: the header again, now with the place of the directory."""
    marker, footer, last = (end.tail[-at : -at + SECTOR or None] for at in (FOOTER_BYTES, 1024, SECTOR))
    report.require(
        len(marker) == SECTOR
        and FOOTER_MARKER.unpack_from(marker)[1:] == (0, 3)
        and last == bytes(SECTOR)
        and _without_directory(footer) == _without_directory(header),
        "vmdk-footer",
        "its footer is missing, or not the same as its header",
        CUT_SHORT,
    )
    if not report.findings:
        directory = HEADER.unpack_from(footer)[9]
        before = end.total - FOOTER_BYTES
        inside = directory > 0 and directory * SECTOR + tables * 4 <= before
        same = not stream.is_begun or directory * SECTOR == stream.directory_at
        report.require(same, "vmdk-directory", "its footer names another directory than its markers mark")
        report.require(inside, "vmdk-table-place", "its grain directory is not where one may be")


def _without_directory(header: bytes) -> bytes:
    return header[: DIRECTORY_FIELD.start] + header[DIRECTORY_FIELD.stop :]
