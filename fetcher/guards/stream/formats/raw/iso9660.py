"""ISO 9660 images of optical discs, with Joliet, Rock Ridge, El Torito and UDF bridges.

Specification: ECMA-119 chapter 8; El Torito 1.0 for booting.
Reads: the volume descriptors, from byte 32,768 to 65,536.
Structure: a primary descriptor, its numbers the same in both byte orders, block size 512 to 2048,
    the root directory inside the volume, the volume inside the file.
Safety: none; a disc refers to nothing outside itself. That the same bytes are also a raw disk with
    partitions (a hybrid, for USB sticks) is usual and allowed.
"""

from struct import Struct

from fetcher.guards.stream.formats.report import CUT_SHORT, Kind, Report, Role

ISO = Kind(key="iso", words="an ISO 9660 disc image", role=Role.DISK, disk_format="iso", qemu="raw")

FIRST, BLOCK = 32_768, 2_048
PRIMARY, BOOT, SUPPLEMENTARY, TERMINATOR = 1, 0, 2, 255
BOTH_32 = (Struct("<I"), Struct(">I"))
BOTH_16 = (Struct("<H"), Struct(">H"))
SIGNS = tuple((at + 1, (b"CD001",)) for at in range(FIRST, 65_536, BLOCK))
"""The places of the identifier."""


def recognise(head: bytes) -> Report | None:
    """Find the identifier CD001 in a volume descriptor."""
    descriptors = [
        head[at : at + BLOCK]
        for at in range(FIRST, min(len(head), 65_536), BLOCK)
        if head[at + 1 : at + 6] == b"CD001"
    ]
    if not descriptors:
        return None
    report = Report(kind=ISO, name="ISO 9660 disc image")
    kinds = {descriptor[0] for descriptor in descriptors}
    report.facts["bootable"] = any(
        descriptor[0] == BOOT and descriptor[7:30] == b"EL TORITO SPECIFICATION" for descriptor in descriptors
    )
    primary = next((found for found in descriptors if found[0] == PRIMARY), b"")
    report.require(
        len(primary) == BLOCK and head[FIRST + 1 : FIRST + 6] == b"CD001",
        "iso-descriptor",
        "it has no primary volume descriptor",
        CUT_SHORT,
    )
    report.require(TERMINATOR in kinds, "iso-descriptor", "its volume descriptors do not end", CUT_SHORT)
    if not report.findings:
        _check_primary(primary, report)
    return report


def _check_primary(primary: bytes, report: Report) -> None:
    blocks = _both(primary, 80, BOTH_32)
    block = _both(primary, 128, BOTH_16)
    root = _both(primary, 156 + 2, BOTH_32)
    report.require(
        None not in (blocks, block, root), "iso-numbers", "its numbers differ between their two byte orders"
    )
    if blocks is None or block is None or root is None:
        return
    report.require(block in (512, 1024, 2048), "iso-block", "its block size is out of range")
    report.require(0 < root < blocks, "iso-root", "its root directory lies outside the volume")
    report.facts["volume_bytes"] = blocks * block
    report.reaches(blocks * block, "volume")


def _both(descriptor: bytes, at: int, orders: tuple[Struct, Struct]) -> int | None:
    """Read a number that is written in both byte orders; None where the two differ."""
    little, big = orders
    first: int = little.unpack_from(descriptor, at)[0]
    second: int = big.unpack_from(descriptor, at + little.size)[0]
    return first if first == second else None
