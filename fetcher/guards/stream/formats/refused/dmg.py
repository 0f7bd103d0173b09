"""DMG, Apple's disk image (UDIF). Named and refused.

Specification: none by Apple; QEMU, block/dmg.c, which looks for the trailer in the last 515 bytes.
Reads: the last 1,024 bytes, where its trailer of 512 bytes lies.
Structure: the trailer gives its own length.
Safety: never accepted. A trailer behind a raw disk or a disc makes the file two things at once.
"""

from fetcher.guards.stream.formats.report import End, Kind, Report, Role

DMG = Kind(key="dmg", words="an Apple disk image (DMG)", role=Role.FOREIGN, qemu="dmg")

MAGIC = b"koly"
TRAILER_BYTES = 512
SEARCHED_BYTES = 1_024


def recognise_end(end: End) -> Report | None:
    """Find DMG by its trailer."""
    searched = end.tail[-SEARCHED_BYTES:]
    at = searched.rfind(MAGIC)
    if at < 0 or int.from_bytes(searched[at + 8 : at + 12], "big") != TRAILER_BYTES:
        return None
    return Report(kind=DMG, name="Apple disk image (DMG)")
