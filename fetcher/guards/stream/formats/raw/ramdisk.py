"""Initial ramdisks, for Image API's ari: cpio archives, bare; packed ones are judged by the policy.

Specification: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
Reads: the first 64 bytes.
Structure: the magic of the formats that Linux unpacks; the checksum of a uImage's header.
Safety: none; only a guest's kernel unpacks it.
"""

from fetcher.guards.stream.formats.raw.kernel import RAMDISK_TYPE, UIMAGE, uimage_type
from fetcher.guards.stream.formats.report import Kind, Report, Role

RAMDISK = Kind(
    key="cpio",
    words="a cpio archive",
    role=Role.RAMDISK,
    disk_format="ari",
    hint="To keep it as a ramdisk, say disk_format=ari and container_format=ari.",
)

MAGICS = (b"070701", b"070702")


def recognise(head: bytes) -> Report | None:
    """Find a cpio archive of the new format, or a uImage that holds a ramdisk."""
    if head[:4] == UIMAGE and uimage_type(head) == RAMDISK_TYPE:
        return Report(kind=RAMDISK, name="initial ramdisk, uImage")
    return Report(kind=RAMDISK, name="cpio archive") if head[:6] in MAGICS else None
