"""The records of a zip: local headers, the central directory, and the records that end it.

Specification: PKWARE APPNOTE 6.3, sections 4.3 to 4.5.
"""

from dataclasses import dataclass
from struct import Struct

from fetcher.errors import UnpackFailed
from fetcher.unpack.values import NOT_WHOLE

LOCAL_SIGN, CENTRAL_SIGN, END_SIGN = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64_SIGN, LOCATOR_SIGN, DESCRIPTOR_SIGN = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"
LOCAL = Struct("<2xHH4xLLLHH")
CENTRAL = Struct("<BBHHH4xLLLHHHHHLL")
END = Struct("<HHHHLLH")
END64 = Struct("<2x2xLLQQQQ")
LOCATOR = Struct("<LQL")
STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIBED, PATCHED, STRONG, UTF8, MASKED = 1, 8, 32, 64, 2048, 8192
UNTAKEN = ENCRYPTED | PATCHED | STRONG | MASKED
COMPARED = 0xFFFF & ~6  # All but how hard the packer tried.
FULL16, FULL32 = 0xFFFF, 0xFFFF_FFFF
ZIP64_KEY = 1
LINK_MODE = 0o12  # Of Unix, by whatever host: some unpack it as a link also from others.
METHODS = {
    1: "shrink",
    6: "implode",
    9: "deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "zstd",
    95: "xz",
    98: "PPMd",
}
DEFLATE64 = 9
DEFLATE64_HINT = (
    "Windows Explorer packs large files so. Use `tar -a -c -f image.zip disk.vhd`, which Windows has, "
    "or 7-Zip with the method Deflate."
)
REMAKE = "Make the archive anew with the disk image only: `zip image.zip disk.vhd`."


@dataclass(kw_only=True)
class Entry:
    """One member, as its local header has it; the numbers become those that were counted.

    Args:
        offset: Of the local header in the file.
        flags: General purpose bits.
        method: 0 stored, 8 deflated.
        crc: Of the content.
        packed_bytes: As they lie in the file.
        size: Of the content.
        raw_name: As it is written.
        is_zip64: Whether its sizes are written with 8 bytes.
        text: Its content where that is short: what it leads to, if it is a link.
    """

    offset: int
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size: int
    raw_name: bytes
    is_zip64: bool
    text: bytes = b""

    @property
    def name(self) -> str:
        """Return the name as text."""
        return self.raw_name.decode("utf-8" if self.flags & UTF8 else "cp437", "replace")

    @property
    def is_described(self) -> bool:
        """Return whether sizes and CRC follow the content."""
        return bool(self.flags & DESCRIBED)


def read_local(block: bytes, names: bytes, offset: int) -> Entry:
    """Read a local header.

    Args:
        block: Its fixed part, behind the signature.
        names: The name and the extra fields that follow it.
        offset: Where it lies.

    Raises:
        UnpackFailed: It is encrypted, packed in a way that is not taken, or malformed.
    """
    flags, method, crc, packed, size, name_length, _ = LOCAL.unpack(block)
    if flags & UNTAKEN:
        raise broken("encrypted", "a member is encrypted or a patch")
    if method not in {STORED, DEFLATED}:
        word = METHODS.get(method, f"method {method}")
        reason = f"a member is compressed with {word}; stored and deflate are taken"
        hint = DEFLATE64_HINT if method == DEFLATE64 else REMAKE
        raise UnpackFailed(packing="zip", rule="method", reason=reason, hint=hint)
    wide = read_zip64(names[name_length:])
    if wide and FULL32 in {packed, size}:
        values = [int.from_bytes(wide[at : at + 8], "little") for at in range(0, 16, 8)]
        if len(wide) < 16:
            raise broken("header", "a header is malformed")
        size, packed = values
    return Entry(
        offset=offset,
        flags=flags,
        method=method,
        crc=crc,
        packed_bytes=packed,
        size=size,
        raw_name=names[:name_length],
        is_zip64=bool(wide),
    )


def no_length() -> UnpackFailed:
    """Return the refusal of a stored member whose length stands only behind it: its end is unknown."""
    reason = "a stored member does not tell its length before it, as one that was written to a pipe"
    return UnpackFailed(packing="zip", rule="method", reason=reason, hint=REMAKE)


def read_zip64(extra: bytes) -> bytes:
    """Return the content of the field with long numbers, empty where there is none.

    Raises:
        UnpackFailed: A field is longer than what is there, or it comes twice.
    """
    found, at = b"", 0
    while at + 4 <= len(extra):
        key, length = (
            int.from_bytes(extra[at : at + 2], "little"),
            int.from_bytes(extra[at + 2 : at + 4], "little"),
        )
        content = extra[at + 4 : at + 4 + length]
        if len(content) < length or (key == ZIP64_KEY and found):
            raise broken("header", "the extra fields of a header are malformed")
        found = content if key == ZIP64_KEY else found
        at += 4 + length
    return found


def check_central(block: bytes, names: bytes, entry: Entry) -> bool:
    """Compare an entry of the central directory with the member that was read; return whether it is a link.

    Readers follow the one or the other; where they differ, two readers see two files.

    Raises:
        UnpackFailed: They differ.
    """
    (
        _,
        _,
        _,
        flags,
        method,
        crc,
        packed,
        size,
        name_length,
        extra_length,
        _,
        disk,
        _,
        attributes,
        offset,
    ) = CENTRAL.unpack(block)
    wide = read_zip64(names[name_length : name_length + extra_length])
    numbers = []
    for value in (size, packed, offset):
        is_wide = value == FULL32 and wide
        numbers.append(int.from_bytes(wide[:8], "little") if is_wide else value)
        wide = wide[8:] if is_wide else wide
    if disk == FULL16 and wide:
        disk = int.from_bytes(wide[:4], "little")
    claimed = (names[:name_length], flags & COMPARED, method, crc, *numbers, disk)
    counted = (entry.raw_name, entry.flags & COMPARED, entry.method, entry.crc)
    if claimed != (*counted, entry.size, entry.packed_bytes, entry.offset, 0):
        raise broken("directory", "its central directory does not agree with a member's own header")
    return bool(attributes >> 28 == LINK_MODE)


def check_end(block: bytes, *, entries: int, size: int, offset: int, is_zip64: bool) -> int:
    """Compare the record that ends the file with the directory that was read.

    Returns:
        How many bytes of comment follow.

    Raises:
        UnpackFailed: They differ, or the file is a part of several.
    """
    disk, start, here, total, claimed_size, claimed_offset, comment = END.unpack(block)
    claimed = (disk, start, here, total, claimed_size, claimed_offset)
    for value, true, full in zip(
        claimed,
        (0, 0, entries, entries, size, offset),
        (FULL16, FULL16, FULL16, FULL16, FULL32, FULL32),
        strict=True,
    ):
        if value != true and not (is_zip64 and value == full):
            raise broken("directory", "the record at its end does not agree with its central directory")
    return int(comment)


def check_end64(block: bytes, *, entries: int, size: int, offset: int) -> None:
    """Compare the long record with the directory that was read.

    Raises:
        UnpackFailed: They differ.
    """
    if END64.unpack(block[: END64.size]) != (0, 0, entries, entries, size, offset):
        raise broken("directory", "the record at its end does not agree with its central directory")


def broken(rule: str, reason: str) -> UnpackFailed:
    """Make the failure of a zip that breaks a rule; what is not whole is to be fetched again."""
    if rule in NOT_WHOLE:
        return UnpackFailed(packing="zip", rule=rule, reason=reason)
    return UnpackFailed(packing="zip", rule=rule, reason=reason, hint=REMAKE)
