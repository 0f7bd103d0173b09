"""cloop, the compressed loop device of Knoppix. Named and refused.

Specification: QEMU, block/cloop.c.
Reads: the first 64 bytes.
Structure, safety: not looked at, because it is never accepted.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

CLOOP = Kind(key="cloop", words="a cloop disk image", role=Role.FOREIGN, qemu="cloop")

MAGIC = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop"


def recognise(head: bytes) -> Report | None:
    """Find cloop by the script it begins with."""
    return Report(kind=CLOOP, name="cloop disk image") if head[: len(MAGIC)] == MAGIC else None
