"""VDI, VirtualBox's disk image.

Specification: VirtualBox, include/VBox/vd-ifs and VDICore.h; QEMU, block/vdi.c (fields and limits).
Reads: the header of 512 bytes; then the block map where it lies behind it.
Structure: version 1.1, sectors of 512 bytes, blocks of 1 MiB, the map and every block inside the file,
    no more blocks mapped than there are, and none twice within 64 KiB of the map.
Safety: types 1 (dynamic) and 2 (fixed) only, so no undo and no differencing images; no parent.
"""

from functools import partial
from struct import Struct

from fetcher.guards.stream.formats.disks.tables import integers
from fetcher.guards.stream.formats.report import CUT_SHORT, NO_DISK, Kind, Report, Role, Steps, windows

VDI = Kind(key="vdi", words="a VDI disk image", role=Role.DISK, disk_format="vdi", qemu="vdi")

SIGNATURE_AT, SIGNATURE = 0x40, b"\x7f\x10\xda\xbe"  # qemu goes by this, not by the text before it.
# What is read of it: version, type, places of map and data, bytes of a sector, the disk, a block and what is
# beside each block, blocks, those in use, and the ids of the images that it is linked to and derived from.
HEADER = Struct("<64x4xI4xI4x256xII12xI4xQIIII32x16s16s")
HEADER_BYTES = 512
BLOCK = 1 << 20
MAX_BLOCKS = 0x3FFF_FFFF
UNALLOCATED = 0xFFFF_FFFE  # And the number after it: discarded.
FLATTEN = "Merge the image with its parents, for example with `VBoxManage clonemedium`."


def recognise(head: bytes) -> Report | None:
    """Find VDI by its signature."""
    if head[SIGNATURE_AT : SIGNATURE_AT + 4] != SIGNATURE:
        return None
    report = Report(kind=VDI, name="VDI disk image")
    if len(head) < HEADER_BYTES:
        report.broke("vdi-header", "its header is cut short", CUT_SHORT)
        return report
    found = HEADER.unpack_from(head)
    version, image_type, map_at, data_at, sector, size, block, beside, blocks, used, link, parent = found
    report.virtual_bytes = size
    report.facts["type"] = {1: "dynamic", 2: "fixed"}.get(image_type, "other")
    require = report.require
    require(version == 0x0001_0001, "vdi-version", "its version is not 1.1")
    require(
        image_type in (1, 2),
        "vdi-type",
        "it is an undo or differencing image, which needs another file",
        FLATTEN,
    )
    require(link == bytes(16) and parent == bytes(16), "vdi-parent", "it names a parent", FLATTEN)
    require(
        sector == 512 and block == BLOCK, "vdi-block", "its sector or block size is not 512 bytes and 1 MiB"
    )
    require(beside == 0, "vdi-block", "it keeps bytes beside its blocks, which not every reader steps over")
    require(size > 0, "empty-disk", "it describes a disk of no bytes", NO_DISK)
    require(size <= blocks * BLOCK and blocks <= MAX_BLOCKS, "vdi-size", "its blocks do not cover its disk")
    require(used <= blocks, "vdi-size", "it has more blocks in use than blocks")
    aligned = map_at % 512 == 0 and data_at % 512 == 0
    require(
        aligned and map_at >= HEADER_BYTES and data_at >= map_at + blocks * 4,
        "vdi-table-place",
        "its block map or its data is not where one may be",
    )
    report.data_at = max(data_at, HEADER_BYTES)
    report.reaches(map_at + blocks * 4, "block map")
    report.reaches(data_at + used * BLOCK, "blocks")
    if not report.findings:
        report.follow = partial(_follow, report, map_at, blocks, used)
    return report


def _follow(report: Report, map_at: int, blocks: int, used: int) -> Steps:
    """Check that the map names only blocks that there are, and each once."""
    mapped = 0
    for window in windows(map_at, blocks * 4):
        numbers = [number for number in integers((yield window), 4, "little") if number < UNALLOCATED]
        mapped += len(numbers)
        if max(numbers, default=-1) >= used:
            report.broke("vdi-map", "its block map names a block that it does not have")
            return
        if len(set(numbers)) < len(numbers) or mapped > used:
            report.broke("vdi-overlap", "its block map names a block twice")
            return
    report.facts["tables_read"] = True
