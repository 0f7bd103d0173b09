"""The holes of sparse files in a tar: three ways to write a map of the data that is there.

Specification: GNU tar manual, "Storing Sparse Files" and "Sparse Formats" (old, and pax 0.0, 0.1 and 1.0).
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from fetcher.parsers.archives.tar_headers import BLOCK_BYTES, DECIMAL, read_number
from fetcher.parsers.archives.tar_members import Member
from fetcher.unpack.archives.tar_reading import broken, exactly
from fetcher.unpack.steps import Step

SPARSE_FIRST, SPARSE_NEXT = 386, 0
ENTRY_BYTES = 24
GNU_SPARSE = "S"
MAX_PIECES = 131_072
"""Most data regions of one sparse file: what a disk of a terabyte has when every eighth megabyte is used."""


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


class SparseReader:
    """Reads maps.

    Args:
        spend: Counts the bytes of a map, and refuses those that are too many.
        max_map_bytes: Of a map in front of the content.
    """

    def __init__(self, spend: Callable[[int], None], max_map_bytes: int) -> None:
        self._spend = spend
        self._max_map_bytes = max_map_bytes

    def read(self, member: Member, stored: int) -> Generator[Step, bytes | memoryview, tuple[SparseMap, int]]:
        """Read where the holes of a file are, and how much of its stored bytes is then left.

        Raises:
            UnpackFailed: The map is malformed, too long or in an unknown format.
        """
        records = member.records
        if member.header.kind == GNU_SPARSE:
            return (yield from self._old_map(member.header.block)), stored
        if records.get("GNU.sparse.major") == "1":
            return (yield from self._map_in_front(records, stored))
        listed = records.get("GNU.sparse.map")
        if listed is None:
            if any(key.startswith("GNU.sparse.") for key in records):
                raise broken("sparse", "the map of a sparse file is in an unknown format")
            return SparseMap(pieces=((0, stored),), real_bytes=stored), stored
        numbers = listed.split(",") if listed else []
        if len(numbers) > 2 * MAX_PIECES:
            raise broken("sparse", "a sparse file has too many regions")
        return read_sparse_text(numbers, records.get("GNU.sparse.size")), stored

    def _old_map(self, block: bytes) -> Generator[Step, bytes | memoryview, SparseMap]:
        pieces = read_sparse_entries(block, SPARSE_FIRST, 4)
        real = read_number(block[483:495])
        more = block[482]
        while more:
            block = yield from exactly(BLOCK_BYTES)
            self._spend(BLOCK_BYTES)
            pieces += read_sparse_entries(block, SPARSE_NEXT, 21)
            more = block[504]
            if len(pieces) > MAX_PIECES:
                raise broken("sparse", "a sparse file has too many regions")
        if real is None:
            raise broken("sparse", "the map of a sparse file is malformed")
        return SparseMap(pieces=tuple(pieces), real_bytes=real)

    def _map_in_front(
        self, records: dict[str, str], stored: int
    ) -> Generator[Step, bytes | memoryview, tuple[SparseMap, int]]:
        """Read a map of pax format 1.0: a count and numbers, a line each, before the content."""
        text, lines, wanted = bytearray(), 0, 0
        while not wanted or lines < wanted:
            if len(text) >= min(stored, self._max_map_bytes):
                raise broken("sparse", "the map of a sparse file is malformed")
            block = yield from exactly(BLOCK_BYTES)
            self._spend(BLOCK_BYTES)
            text += block
            lines += block.count(b"\n")
            if lines and not wanted:
                count = bytes(text[: text.index(b"\n")])
                if not count.isdigit() or len(count) > 7 or int(count) > MAX_PIECES:
                    raise broken("sparse", "a sparse file has too many regions")
                wanted = 1 + 2 * int(count)
        used = len(text)
        numbers = text.decode("latin-1").split("\n")[1:wanted]
        return read_sparse_text(numbers, records.get("GNU.sparse.realsize")), stored - used
