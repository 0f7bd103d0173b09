"""The headers of tar: ustar, GNU's and old ones, extended records of pax, and the maps of sparse files.

Specifications: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
"Basic Tar Format", "Sparse Formats" and "Storing Sparse Files".
"""

import re
from dataclasses import dataclass
from struct import Struct

from fetcher.errors import UnpackFailed
from fetcher.unpack.names import read_name
from fetcher.unpack.values import NOT_WHOLE

BLOCK_BYTES = 512
HEADER = Struct("<100s24x12s12x8sc100s8s80x155s12x")
LINK = slice(157, 257)
CHECKSUM = slice(148, 156)
SPARSE_FIRST, SPARSE_NEXT = 386, 0
ENTRY_BYTES = 24
DECIMAL = re.compile(rb"\d{1,19}")
MAX_PIECES = 131_072
"""Most data regions of one sparse file: what a disk of a terabyte has when every eighth megabyte is used."""

EXPORT = "Make the archive anew, for example with GNU tar, or unpack it and submit the disk image."


@dataclass(frozen=True, kw_only=True)
class Header:
    """One header of an archive.

    Args:
        name: With its folders, as it is written; for messages and comparisons only.
        size: Bytes of content that follow; None where the number is none.
        kind: The type flag; "0" also for the old ways to say a regular file.
        block: The whole header, for what only some kinds have.
    """

    name: str
    size: int | None
    kind: str
    block: bytes

    @property
    def target(self) -> str:
        """Return what a link leads to, as it is written."""
        return _text(self.block[LINK])


def read_header(block: bytes) -> Header | None:
    """Read one header; None where its checksum says that it is none."""
    if len(block) < BLOCK_BYTES or not block[0]:
        return None
    name, size, checksum, kind, _, magic, prefix = HEADER.unpack(block)
    blank = block[: CHECKSUM.start] + b" " * 8 + block[CHECKSUM.stop :]
    signed = sum(blank) - 256 * sum(byte > 127 for byte in blank)
    if read_number(checksum) not in {sum(blank), signed}:
        return None
    path = _text(name)
    if magic == b"ustar\x0000" and prefix[0]:
        path = f"{_text(prefix)}/{path}"
    flag = "0" if kind in b"\0007" else kind.decode("latin-1")
    is_blank = not size.strip(b" \0")  # As a volume's label has it.
    return Header(name=path, size=0 if is_blank else read_number(size), kind=flag, block=block)


def read_number(field: bytes) -> int | None:
    """Read an octal number, or GNU's binary one for what octal cannot hold; None: it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _text(field: bytes) -> str:
    return read_name(field.split(b"\0", 1)[0])


def read_records(text: bytes) -> dict[str, str]:
    """Read the records of an extended header of pax, each `length key=value`.

    Of sparse files in pax format 0.0, whose key comes again and again, the values are joined
    with commas: that makes a map as format 0.1 has it.

    Raises:
        UnpackFailed: A record is malformed.
    """
    records: dict[str, str] = {}
    sparse: list[str] = []
    at = 0
    while at < len(text):
        digits, blank, _ = text[at : at + 20].partition(b" ")
        length = int(digits) if blank and DECIMAL.fullmatch(digits) else 0
        record = text[at + len(digits) + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if not equals or not record.endswith(b"\n") or at + length > len(text):
            raise broken("header", "an extended header is malformed")
        name, value_text = key.decode("utf-8", "replace"), value[:-1].decode("utf-8", "replace")
        if name in {"GNU.sparse.offset", "GNU.sparse.numbytes"}:
            sparse.append(value_text)
        records[name] = value_text
        at += length
    if sparse and "GNU.sparse.map" not in records:
        records["GNU.sparse.map"] = ",".join(sparse)
    return records


@dataclass(frozen=True, kw_only=True)
class SparseMap:
    """The places of a sparse file's data; all else are holes.

    Args:
        pieces: Offset and length of each region, in order, none over another.
        real_bytes: The length of the file with its holes.
    """

    pieces: tuple[tuple[int, int], ...]
    real_bytes: int

    def check(self, stored_bytes: int) -> None:
        """Refuse a map that contradicts itself or the bytes that are there.

        Raises:
            UnpackFailed: Regions overlap, lie outside the file or are not what is stored.
        """
        end = 0
        for offset, length in self.pieces:
            if offset < end:
                raise broken("sparse", "the regions of a sparse file overlap or are out of order")
            end = offset + length
        if end > self.real_bytes or sum(length for _, length in self.pieces) != stored_bytes:
            raise broken("sparse", "the map of a sparse file does not fit its size")


def read_sparse_entries(block: bytes, start: int, most: int) -> list[tuple[int, int]]:
    """Read the entries of GNU's old sparse format from a header (4) or from a block behind it (21).

    Raises:
        UnpackFailed: A number is malformed.
    """
    found: list[tuple[int, int]] = []
    for number in range(most):
        at = start + number * ENTRY_BYTES
        entry = block[at : at + ENTRY_BYTES]
        if not entry[0]:
            break
        offset, length = read_number(entry[:12]), read_number(entry[12:])
        if offset is None or length is None:
            raise broken("sparse", "the map of a sparse file is malformed")
        found.append((offset, length))
    return found


def read_sparse_text(numbers: list[str], real: str | None) -> SparseMap:
    """Read a map of pax, which lists offset and length in turn.

    Raises:
        UnpackFailed: A number is malformed, or one is missing.
    """
    words = [number.encode() for number in (*numbers, real or "")]
    if len(numbers) % 2 or not all(DECIMAL.fullmatch(word) for word in words):
        raise broken("sparse", "the map of a sparse file is malformed")
    values = [int(word) for word in words]
    pairs = tuple(zip(values[0:-1:2], values[1:-1:2], strict=True))
    return SparseMap(pieces=pairs, real_bytes=values[-1])


def broken(rule: str, reason: str) -> UnpackFailed:
    """Make the failure of a tar that breaks a rule; what is not whole is to be fetched again."""
    if rule in NOT_WHOLE:
        return UnpackFailed(packing="tar", rule=rule, reason=reason)
    return UnpackFailed(packing="tar", rule=rule, reason=reason, hint=EXPORT)
