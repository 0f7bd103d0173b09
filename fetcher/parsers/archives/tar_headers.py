"""The headers of tar: ustar, GNU's and old ones, and the records of pax's extended headers.

Specifications: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
"Basic Tar Format".
"""

import re
from dataclasses import dataclass
from struct import Struct

from fetcher.parsers.archives.names import read_name

BLOCK_BYTES = 512
HEADER = Struct("<100s24x12s12x8sc100s8s80x155s12x")
CHECKSUM = slice(148, 156)
NUMBER_STARTS = (b" ", *(b"%d" % digit for digit in range(8)), b"\x80")
"""Beginnings of a number for `read_number`: a field that begins otherwise is none."""
USTAR = b"ustar\0"
DECIMAL = re.compile(rb"\d{1,19}")
RECORD = re.compile(rb"(\d{1,19}) ([^=\0]+)=")
NEWLINE = ord("\n")
SIDE_NUMBERS = tuple(map(slice, (100, 108, 116, 136, 329, 337), (108, 116, 124, 148, 337, 345)))
"""Mode, owner, group, time and the two numbers of a device, in which nothing here is interested."""
EIGHT, TWELVE = rb"(?:[0-7]{7}[ \0]|[0-7]{6} \0|\0{8})", rb"(?:[0-7]{11}[ \0]|\0{12})"
USUAL_SIDE_NUMBERS = re.compile(EIGHT * 3 + rb".{12}" + TWELVE + rb".{181}" + EIGHT * 2, re.DOTALL)
NEGATIVE = 0xFF
LABEL = "V"
"""A volume's label, which has no content and may leave its size blank."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """One header of an archive.

    Args:
        name: With its folders, as it is written; for messages and comparisons only.
        other_name: The name that readers see which take the prefix for one in every format, as Python's
            tarfile does; nearly always the same.
        size: Bytes of content that follow; None where the number is none.
        kind: The type flag; "0" also for the old ways to say a regular file.
        target: What a link leads to, as it is written.
        has_side_numbers: Mode, owner, time and so on are numbers, or zeros; a header of which one is not ends
            an archive for Python's tarfile, and is read by others.
        block: The whole header, for what only some kinds have.
    """

    name: str
    other_name: str
    size: int | None
    kind: str
    target: str
    has_side_numbers: bool
    block: bytes


def read_header(block: bytes) -> Header | None:
    """Read one header; None where its checksum says that it is none."""
    if len(block) < BLOCK_BYTES or not block[0]:
        return None
    name, size, checksum, flag, link, magic, prefix = HEADER.unpack(block[:BLOCK_BYTES])
    if not _is_sum(read_number(checksum), block[:BLOCK_BYTES]):
        return None
    kind = "0" if flag in b"\0007" else flag.decode("latin-1")
    base = _text(name)
    long = f"{_text(prefix)}/{base}" if prefix[0] else base
    is_blank = kind == LABEL and not size.strip(b" \0")
    return Header(
        name=long if magic.startswith(USTAR) else base,
        other_name=long,
        size=0 if is_blank else read_number(size),
        kind=kind,
        target=_text(link),
        has_side_numbers=USUAL_SIDE_NUMBERS.match(block, SIDE_NUMBERS[0].start) is not None
        or all(_is_side_number(block[place]) for place in SIDE_NUMBERS),
        block=block,
    )


def _is_sum(number: int | None, block: bytes) -> bool:
    """Return whether a number is the sum of a header's bytes, which some old tars took as signed."""
    if number is None:
        return False
    own = block[CHECKSUM]
    total = sum(block) - sum(own) + 8 * ord(" ")
    if number == total:
        return True
    signs = sum(byte > 127 for byte in block) - sum(byte > 127 for byte in own)
    return number == total - 256 * signs


def read_number(field: bytes) -> int | None:
    """Read an octal number, or GNU's binary one for what octal cannot hold; None: it is neither.

    A zero byte ends digits: what is behind one, others do not read.
    """
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.lstrip(b" ").rstrip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _is_side_number(field: bytes) -> bool:
    return field[0] == NEGATIVE or not field.strip(b"\0") or read_number(field) is not None


def _text(field: bytes) -> str:
    return read_name(field.split(b"\0", 1)[0])


def read_records(text: bytes) -> dict[str, str]:
    """Read the records of an extended header of pax, each `length key=value`; of one key the last counts.

    Of sparse files in pax format 0.0, whose key comes again and again, the values are joined
    with commas: that makes a map as format 0.1 has it.

    Raises:
        ValueError: A record is malformed.
    """
    records: dict[str, str] = {}
    sparse: list[str] = []
    at = 0
    while at < len(text):
        found = RECORD.match(text, at)
        end = 0 if found is None else at + int(found[1])
        if found is None or not found.end() < end <= len(text) or text[end - 1] != NEWLINE:
            raise ValueError("a record of an extended header is malformed")
        key = found[2].decode("utf-8", "replace")
        records[key] = text[found.end() : end - 1].decode("utf-8", "replace")
        if key in {"GNU.sparse.offset", "GNU.sparse.numbytes"}:
            sparse.append(records[key])
        at = end
    if sparse and "GNU.sparse.map" not in records:
        records["GNU.sparse.map"] = ",".join(sparse)
    return records
