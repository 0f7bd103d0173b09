"""tar archives. Named and refused, unless they are an OVA.

Specification: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format".
Reads: the header of the first member, 512 bytes.
Structure: the checksum of the header.
Safety: none; it is never unpacked here. For OVA see ova.
"""

from struct import Struct
from typing import NamedTuple

from fetcher.guards.stream.formats.report import Kind, Report, Role

TAR = Kind(
    key="tar",
    words="a tar archive",
    role=Role.ARCHIVE,
    hint="Unpack it and submit the disk image inside; an OVA has its .ovf file first.",
)

BLOCK = 512
HEADER = Struct("<100s24x12s12x8sc100s8s80x155s12x")
CHECKSUM = slice(148, 156)
REGULAR, PAX = (b"0", b"\0", b"7"), b"x"


class Member(NamedTuple):
    """One header.

    Args:
        name: With its directories, as it is written.
        size: Bytes of the content; None where the number is none.
        kind: The type flag.
    """

    name: bytes
    size: int | None
    kind: bytes


def recognise(head: bytes) -> Report | None:
    """Find tar by the checksum of its first header; one whose first member is an OVF is an OVA."""
    member = read_member(head[:BLOCK])
    if member is None or member.name.lower().endswith(b".ovf"):
        return None
    return Report(kind=TAR, name="tar archive")


def read_member(block: bytes) -> Member | None:
    """Read one header; None where its checksum says that it is none."""
    if len(block) < BLOCK or not block[0]:
        return None
    name, size, checksum, kind, _, _, prefix = HEADER.unpack(block)
    blank = block[: CHECKSUM.start] + b" " * 8 + block[CHECKSUM.stop :]
    if _number(checksum) != sum(blank):
        return None
    path = prefix.split(b"\0", 1)[0] + b"/" if block[257:263] == b"ustar\0" and prefix[0] else b""
    return Member(path + name.split(b"\0", 1)[0], _number(size), kind)


def _number(field: bytes) -> int | None:
    """Read an octal number, or GNU's binary one for what octal cannot hold."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None
