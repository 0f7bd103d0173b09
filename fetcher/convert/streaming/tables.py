"""Block tables of VDI and VHD: one entry for each block of the disk, in the order of the disk."""

from __future__ import annotations  # array[int] is a type for the checker only

import sys
from array import array
from collections.abc import Iterator

from fetcher.convert.streaming.mapped import Piece

MAX_BLOCKS = 1 << 21
"""Entries of a table that streams: 2 TiB in blocks of 1 MiB; 16 MiB of memory."""


def numbers(table: bytes | memoryview, byteorder: str) -> array[int]:
    """Return the 32-bit numbers in a table."""
    found = array("I", bytes(table))
    if byteorder != sys.byteorder:
        found.byteswap()
    return found


def pieces(
    entries: array[int], order: array[int], place: tuple[int, int, int], block: int
) -> Iterator[Piece]:
    """Yield the blocks in the order of the source.

    Args:
        order: The numbers of the blocks that exist, sorted by their place.
        place: Place of a block with entry 0, distance between entries, length of what precedes its data.
    """
    base, unit, before = place
    for index in order:
        yield Piece(base + entries[index] * unit + before, block, index * block)
