"""ZIP archives built record by record, so that each field of either header can be said wrong."""

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

from tests.guards.stream.formats.build import mbr, put, qcow2

LOCAL = ("version", "flags", "method", "time", "date", "checksum", "packed", "unpacked")
DISK = mbr(size=1024)
HIDDEN = put(qcow2(bits=9, size=65_536), 8, struct.pack(">QI", 512, 11))
"""A QCOW2 image that names a backing file."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member, with what its two headers say otherwise.

    Args:
        content: What is inside.
        name: Of the file.
        method: 0 to store, 8 to deflate; another is said and not done.
        local: Fields of the local header that are not as they should be.
        central: Likewise, of the directory.
        streamed: Sizes stand behind the content, as writers do that cannot go back.
        zip64: Sizes stand in an extra field.
        descriptor: What stands behind the content of a streamed one; None for what should.
        is_listed: The directory has it.
    """

    content: bytes = DISK
    name: bytes = b"disk.img"
    method: int = 8
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)
    streamed: bool = False
    zip64: bool = False
    descriptor: bytes | None = None
    is_listed: bool = True

    @property
    def body(self) -> bytes:
        """The content as it is packed."""
        if self.method != 8:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()

    def fields(self) -> dict[str, Any]:
        """What both headers should say."""
        return {
            "version": 45 if self.zip64 else 20,
            "flags": 8 if self.streamed else 0,
            "method": self.method,
            "time": 0x6000,
            "date": 0x5A21,
            "checksum": zlib.crc32(self.content),
            "packed": len(self.body),
            "unpacked": len(self.content),
            "name": self.name,
            "extra": b"",
        }

    def header(self) -> bytes:
        """Write the local header."""
        values = self.fields()
        if self.streamed:
            values |= {"checksum": 0, "packed": 0, "unpacked": 0}
        if self.zip64:
            sizes = struct.pack("<QQ", values["unpacked"], values["packed"])
            values |= {
                "packed": 0xFFFF_FFFF,
                "unpacked": 0xFFFF_FFFF,
                "extra": struct.pack("<HH", 1, 16) + sizes,
            }
        values |= self.local
        return (
            struct.pack("<4sHHHHHIII", b"PK\3\4", *(values[name] for name in LOCAL))
            + struct.pack("<HH", len(values["name"]), len(values["extra"]))
            + values["name"]
            + values["extra"]
        )

    def behind(self) -> bytes:
        """Write the data descriptor, if there is one."""
        if not self.streamed:
            return b""
        if self.descriptor is not None:
            return self.descriptor
        values = self.fields()
        layout = "<4sIQQ" if self.zip64 else "<4sIII"
        return struct.pack(layout, b"PK\7\x08", values["checksum"], values["packed"], values["unpacked"])

    def entry(self, offset: int) -> bytes:
        """Write the entry of the directory."""
        values = self.fields() | {"offset": offset, "disk": 0, "comment": b"", "made": 0x031E}
        values |= {"attributes": 0} | self.central
        return (
            struct.pack("<4sHHHHHHIII", b"PK\1\2", values["made"], *(values[name] for name in LOCAL))
            + struct.pack("<HHH", len(values["name"]), len(values["extra"]), len(values["comment"]))
            + struct.pack("<HHII", values["disk"], 0, values["attributes"], values["offset"])
            + values["name"]
            + values["extra"]
            + values["comment"]
        )


ONE = Member()


def archive(
    *members: Member, listed: tuple[int, ...] | None = None, end: dict[str, int] | None = None
) -> bytes:
    """Put members together.

    Args:
        listed: In which order the directory has them.
        end: Fields of the end record that are not as they should be.
    """
    stream, offsets = b"", []
    for member in members or (ONE,):
        offsets.append(len(stream))
        stream += member.header() + member.body + member.behind()
    order = listed if listed is not None else tuple(range(len(offsets)))
    chosen = [members[number] if members else ONE for number in order]
    directory = b"".join(
        member.entry(offsets[number])
        for member, number in zip(chosen, order, strict=True)
        if member.is_listed
    )
    count = sum(member.is_listed for member in chosen)
    values = {
        "disk": 0,
        "first": 0,
        "here": count,
        "entries": count,
        "size": len(directory),
        "offset": len(stream),
    }
    values |= end or {}
    return stream + directory + struct.pack("<4sHHHHIIH", b"PK\5\6", *values.values(), 0)


def with_zip64_end(stream: bytes) -> bytes:
    """Replace the end record by those for large archives."""
    _, _, _, _, entries, size, offset, _ = struct.unpack("<4sHHHHIIH", stream[-22:])
    at = len(stream) - 22
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    return (
        stream[:-22]
        + record
        + locator
        + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFF_FFFF] * 2, 0)
    )


def differing(member: Member, where: str, name: str, value: object) -> bytes:
    """Make an archive of one member, one of whose headers says something else."""
    return archive(replace(member, **{where: {name: value}}))
