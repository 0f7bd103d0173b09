"""The legacy format of LZ4, as `lz4 -l` writes it: blocks of 8 MiB without an end mark or check sums.

Specification: LZ4 Frame Format 1.6, "Legacy frame".
"""

import lz4.block

from fetcher.errors import UnpackFailed
from fetcher.unpack.steps import Back, Exactly, Out, Steps
from fetcher.unpack.values import MAX_PIECE_BYTES

BLOCK_BYTES = 8 << 20
MAX_PACKED_BYTES = BLOCK_BYTES + BLOCK_BYTES // 255 + 16
"""Of a block that does not shrink; a larger number is no length but the magic of what follows."""


def unpack_legacy() -> Steps:
    """Unpack the blocks of one frame, whose magic has been read, and give back what was read behind it.

    Raises:
        UnpackFailed: It is cut short, or a block is damaged.
    """
    while word := bytes((yield Exactly(4))):
        length = int.from_bytes(word, "little")
        if len(word) == 4 and (not length or length > MAX_PACKED_BYTES):
            yield Back(4)
            return
        packed = yield Exactly(length)
        if len(word) < 4 or len(packed) < length:
            raise UnpackFailed(packing="lz4", rule="cut-short", reason="the file ends in the middle")
        try:
            block = memoryview(lz4.block.decompress(packed, uncompressed_size=BLOCK_BYTES))
        except lz4.block.LZ4BlockError as error:
            raise UnpackFailed(packing="lz4", rule="damaged", reason="its bytes are damaged") from error
        for at in range(0, len(block), MAX_PIECE_BYTES):
            yield Out(block[at : at + MAX_PIECE_BYTES])
