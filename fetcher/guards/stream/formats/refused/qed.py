"""QED, QEMU Enhanced Disk. Named and refused: it can name a backing file, and is out of use.

Specification: QEMU, docs/interop/qed_spec.txt.
Reads: the first 4 bytes.
Structure, safety: not looked at, because it is never accepted.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

QED = Kind(key="qed", words="a QED disk image", role=Role.FOREIGN, qemu="qed")


def recognise(head: bytes) -> Report | None:
    """Find QED by its magic."""
    return Report(kind=QED, name="QED disk image") if head[:4] == b"QED\0" else None
