"""QCOW version 1, QEMU's format before 2008. Named and refused: QCOW2 replaced it.

Specification: QEMU, block/qcow.c.
Reads: the first 8 bytes.
Structure, safety: not looked at, because it is never accepted.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

QCOW1 = Kind(key="qcow", words="a QCOW version 1 disk image", role=Role.FOREIGN, qemu="qcow")


def recognise(head: bytes) -> Report | None:
    """Find QCOW1 by its magic and version."""
    return Report(kind=QCOW1, name="QCOW v1 disk image") if head[:8] == b"QFI\xfb\0\0\0\1" else None
