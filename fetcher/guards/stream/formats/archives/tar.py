"""tar archives. Named and refused, unless they are an OVA.

Specification: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format".
Reads: the headers up to the first member, in the first 64 KiB.
Structure: the checksum of the header.
Safety: none; it is never unpacked here. For OVA see ova.
"""

from fetcher.guards.stream.formats.report import Kind, Report, Role
from fetcher.parsers.archives.tar_members import first_name

TAR = Kind(
    key="tar",
    words="a tar archive",
    role=Role.ARCHIVE,
    hint="Unpack it and submit the disk image inside; an OVA has its .ovf file first.",
)


def recognise(head: bytes) -> Report | None:
    """Find tar by the checksum of its first header; one whose first member is an OVF is an OVA."""
    name = first_name(head)
    if name is None or name.lower().endswith(".ovf"):
        return None
    return Report(kind=TAR, name="tar archive")
