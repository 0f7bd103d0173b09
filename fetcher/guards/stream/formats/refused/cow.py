"""COW, the overlay of User Mode Linux and of QEMU before 2.1. Named and refused: it names a backing file.

Specification: Linux, arch/um/drivers/cow_user.c; QEMU 2.0, block/cow.c.
Reads: the first 8 bytes.
Structure: the magic and one of its three versions.
Safety: never accepted.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

COW = Kind(
    key="cow",
    words="a COW image of User Mode Linux",
    role=Role.FOREIGN,
    hint="It is an overlay, which needs its backing file: merge both with `uml_moo`, and submit the result.",
)

MAGIC = b"OOOM"
VERSIONS = (1, 2, 3)


def recognise(head: bytes) -> Report | None:
    """Find COW by its magic and version."""
    if head[:4] != MAGIC or int.from_bytes(head[4:8], "big") not in VERSIONS:
        return None
    return Report(kind=COW, name="COW image")
