"""The zeros of a disk image, found so that they need no room."""

from collections.abc import Iterator

from fetcher.model import BLOCK_BYTES

ZEROS = bytes(BLOCK_BYTES)


def written_runs(chunk: bytes, offset: int) -> Iterator[tuple[int, int]]:
    """Find the parts of a chunk that must be written; all between them are whole blocks of zeros.

    Costs next to nothing where there are no zeros: a block is looked at only
    when its first byte is one. Nothing is copied but that one byte a block.

    Args:
        offset: Where in the file the chunk begins; blocks are aligned to the file.

    Yields:
        Start and end within the chunk, in order.
    """
    first = -offset % BLOCK_BYTES
    begin = 0
    for at in _zero_blocks(chunk, first):
        if at > begin:
            yield begin, at
        begin = at + BLOCK_BYTES
    if begin < len(chunk):
        yield begin, len(chunk)


def _zero_blocks(chunk: bytes, first: int) -> Iterator[int]:
    heads = chunk[first : max(0, len(chunk) - BLOCK_BYTES + 1) : BLOCK_BYTES]
    found = heads.find(0)
    while found >= 0:
        at = first + found * BLOCK_BYTES
        if chunk.startswith(ZEROS, at):
            yield at
        found = heads.find(0, found + 1)
