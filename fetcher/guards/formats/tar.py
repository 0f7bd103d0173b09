"""tar, and OVA: a tar archive whose first member is an OVF descriptor.

Specification: POSIX.1-2017 pax, "ustar Interchange Format"; DMTF DSP0243 (OVF) section 5.3 for OVA.
Reads: the header of the first member.
Structure: its checksum.
Safety: see ova.
"""

from fetcher.guards.formats.report import Kind, Report, Role

TAR = Kind(
    key="tar",
    words="a tar archive",
    role=Role.ARCHIVE,
    hint="Unpack it and submit the disk image inside; an OVA has its .ovf file first.",
)
OVA = Kind(key="ova", words="an OVA appliance", role=Role.BUNDLE, disk_format="vmdk")

BLOCK = 512
CHECKSUM = slice(148, 156)


def recognise(head: bytes) -> Report | None:
    """Find tar by the checksum of its first header, with or without its magic."""
    block = head[:BLOCK]
    if len(block) < BLOCK or not block[0] or not is_header(block):
        return None
    name = block[:100].split(b"\0", 1)[0]
    if name.lower().endswith(b".ovf"):
        return Report(kind=OVA, name="OVA appliance")
    return Report(kind=TAR, name="tar archive")


def is_header(block: bytes) -> bool:
    """Answer whether a block of 512 bytes carries the checksum of a tar header."""
    stated = block[CHECKSUM].strip(b" \0")
    if not stated or stated.strip(b"01234567"):
        return False
    blank = block[: CHECKSUM.start] + b" " * 8 + block[CHECKSUM.stop :]
    return sum(blank) == int(stated, 8)
