"""LUKS, versions 1 and 2: encrypted volumes. Named and refused: nothing can boot from one alone.

Specification: LUKS1 On-Disk Format 1.2.3; LUKS2 On-Disk Format 1.1.4.
Reads: the first 8 bytes.
Structure, safety: not looked at, because it is never accepted.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role

LUKS = Kind(
    key="luks",
    words="an encrypted volume (LUKS)",
    role=Role.FOREIGN,
    hint="An instance cannot boot from an encrypted volume: decrypt it, or submit the disk that it lies on.",
)

MAGIC = b"LUKS\xba\xbe"


def recognise(head: bytes) -> Report | None:
    """Find LUKS by its magic."""
    if head[:6] != MAGIC:
        return None
    version = int.from_bytes(head[6:8], "big")
    return Report(kind=LUKS, name=f"LUKS{version} encrypted volume", facts={"version": version})
