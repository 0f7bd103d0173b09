"""The records of a ZIP archive: local header, central directory, end records, and where they have to agree.

Specification: PKWARE, APPNOTE 6.3 sections 4.3.7 to 4.3.16 and 4.5.3.
"""

from dataclasses import dataclass
from struct import Struct

LOCAL_MAGIC, CENTRAL_MAGIC, END_MAGIC = b"PK\3\4", b"PK\1\2", b"PK\5\6"
END_64_MAGIC, LOCATOR_MAGIC, DESCRIPTOR_MAGIC = b"PK\6\6", b"PK\6\7", b"PK\7\x08"
LOCAL = Struct("<4sHHHHHIIIHH")
CENTRAL = Struct("<4sHHHHHHIIIHHHHHII")
END = Struct("<4sHHHHIIH")
END_64 = Struct("<4sQHHIIQQQQ")
LOCATOR = Struct("<4sIQI")
EXTRA = Struct("<HH")
ZIP64, FAR, FAR_16 = 1, 0xFFFF_FFFF, 0xFFFF
ENCRYPTED, HAS_DESCRIPTOR, PATCHED, STRONG, MASKED = 1, 8, 32, 64, 8_192
NEEDS_ZIP64 = 45


@dataclass(frozen=True)
class Entry:
    """One member, as one of its two headers has it.

    Args:
        version: What is needed to read it.
        flags: General purpose bits.
        method: How it is packed.
        stamp: Time and date.
        checksum: CRC-32 of the content.
        packed: Bytes of the packed content.
        unpacked: Bytes of the content.
        name: Of the file.
        length: Bytes of the header itself, with name and extra fields.
        is_sound: Its extra fields are well-formed.
        offset: Where the local header lies, by the directory.
        file_type: That of Unix, in the upper four bits of a mode, by the directory; 0 where it says none.
    """

    version: int
    flags: int
    method: int
    stamp: int
    checksum: int
    packed: int
    unpacked: int
    name: bytes
    length: int
    is_sound: bool
    offset: int = 0
    file_type: int = 0

    @property
    def is_folder(self) -> bool:
        """Answer whether it stands for a folder."""
        return self.name.endswith((b"/", b"\\"))


def read_local(head: bytes) -> Entry | None:
    """Read the local header at the beginning; None where there is none, or not all of it."""
    if len(head) < LOCAL.size or head[:4] != LOCAL_MAGIC:
        return None
    _, version, flags, method, time, date, checksum, packed, unpacked, name, extra = LOCAL.unpack_from(head)
    length = LOCAL.size + name + extra
    if len(head) < length:
        return None
    far = [unpacked == FAR, packed == FAR]
    numbers, is_sound = _zip64(head[LOCAL.size + name : length], 2 if any(far) else 0)
    if any(far):
        unpacked, packed = numbers or (unpacked, packed)
    stamp = date << 16 | time
    return Entry(
        version, flags, method, stamp, checksum, packed, unpacked, head[LOCAL.size :][:name], length, is_sound
    )


def read_central(directory: bytes) -> Entry | None:
    """Read the one entry of a directory; None where it is none, or not all of it."""
    if len(directory) < CENTRAL.size or directory[:4] != CENTRAL_MAGIC:
        return None
    fields = CENTRAL.unpack_from(directory)
    _, _, version, flags, method, time, date, checksum, packed, unpacked = fields[:10]
    name, extra, comment, disk, _, attributes, offset = fields[10:]
    length = CENTRAL.size + name + extra + comment
    if len(directory) < length:
        return None
    far = [unpacked == FAR, packed == FAR, offset == FAR]
    numbers, is_sound = _zip64(directory[CENTRAL.size + name :][:extra], sum(far))
    values = [unpacked, packed, offset]
    places = [place for place, is_far in enumerate(far) if is_far]
    for place, number in zip(places, numbers, strict=False):
        values[place] = number
    return Entry(
        version, flags, method, date << 16 | time, checksum, values[1], values[0],
        directory[CENTRAL.size :][:name], length, is_sound and disk == 0, values[2], attributes >> 28,
    )  # fmt: skip


def _zip64(extra: bytes, wanted: int) -> tuple[list[int], bool]:
    """Return the numbers of the ZIP64 field, and whether it and the other fields are well-formed."""
    at, found = 0, []
    while at + EXTRA.size <= len(extra):
        kind, size = EXTRA.unpack_from(extra, at)
        if kind == ZIP64:
            found.append(extra[at + EXTRA.size :][:size])
        at += EXTRA.size + size
    is_whole = at == len(extra) or not any(extra[at:])
    field = found[0] if found else b""
    numbers = [int.from_bytes(field[place : place + 8], "little") for place in range(0, len(field), 8)]
    is_sound = is_whole and len(found) <= 1 and len(numbers) >= wanted
    return numbers[:wanted], is_sound


@dataclass(frozen=True)
class Directory:
    """The records at the end.

    Args:
        entries: How many members there are.
        offset: Where the directory begins.
        size: Bytes of it.
        end: Where it has to end: at the first of the end records.
    """

    entries: int
    offset: int
    size: int
    end: int


def read_end(tail: bytes, total: int) -> Directory | None:
    """Read the end records; None where they are not the last thing but zeros, or contradict each other.

    Args:
        tail: The last bytes of the stream.
        total: Bytes of the stream.
    """
    at = tail.rfind(END_MAGIC)
    if at < 0 or at + END.size > len(tail):
        return None
    _, disk, first, here, entries, size, offset, comment = END.unpack_from(tail, at)
    rest = tail[at + END.size + comment :]
    if (
        at + END.size + comment > len(tail)
        or any(rest)
        or disk not in (0, FAR_16)
        or first not in (0, FAR_16)
    ):
        return None
    before = total - len(tail)
    locator = tail[at - LOCATOR.size : at] if at >= LOCATOR.size else b""
    if locator[:4] != LOCATOR_MAGIC:
        is_near = here == entries and FAR not in (size, offset) and FAR_16 not in (entries, disk, first)
        return Directory(entries, offset, size, before + at) if is_near else None
    return _read_end_64(tail, before, LOCATOR.unpack(locator), (entries, offset, size))


def _read_end_64(
    tail: bytes, before: int, locator: tuple[bytes, int, int, int], near: tuple[int, int, int]
) -> Directory | None:
    _, disk, place, disks = locator
    at = place - before
    if at < 0 or at + END_64.size > len(tail) or tail[at : at + 4] != END_64_MAGIC or disk or disks > 1:
        return None
    _, length, _, _, this, first, here, entries, size, offset = END_64.unpack_from(tail, at)
    is_followed = at + 12 + length + LOCATOR.size == tail.rfind(END_MAGIC) and length >= END_64.size - 12
    agrees = all(
        said in (real, FAR, FAR_16) for said, real in zip(near, (entries, offset, size), strict=True)
    )
    if this or first or here != entries or not is_followed or not agrees:
        return None
    return Directory(entries, offset, size, before + at)


def is_descriptor_of(between: bytes, entry: Entry) -> bool:
    """Answer whether this is the data descriptor of a member: its checksum and its sizes once more."""
    rest = between.removeprefix(DESCRIPTOR_MAGIC) if len(between) in (16, 24) else between
    if len(rest) not in (12, 20):
        return False
    width = (len(rest) - 4) // 2
    numbers = (rest[:4], rest[4 : 4 + width], rest[4 + width :])
    wanted = (entry.checksum, entry.packed, entry.unpacked)
    return tuple(int.from_bytes(number, "little") for number in numbers) == wanted
