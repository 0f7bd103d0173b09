"""Bochs' growing disk image. Named and refused.

Specification: Bochs, iodev/hdimage/hdimage.h; QEMU, block/bochs.c.
Reads: the first 64 bytes.
Structure, safety: not looked at, because it is never accepted.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

BOCHS = Kind(key="bochs", words="a Bochs disk image", role=Role.FOREIGN, qemu="bochs")

MAGIC = b"Bochs Virtual HD Image"


def recognise(head: bytes) -> Report | None:
    """Find Bochs images by their magic."""
    return Report(kind=BOCHS, name="Bochs disk image") if head[: len(MAGIC)] == MAGIC else None
