"""CRC-32C (Castagnoli), quick over the long runs of zeros that tables end with.

Specification: RFC 3720 appendix B.4; polynomial 1EDC6F41h, reflected.
"""

from functools import cache

REFLECTED = 0x82F6_3B78


@cache
def _table() -> tuple[int, ...]:
    numbers = []
    for number in range(256):
        rest = number
        for _ in range(8):
            rest = rest >> 1 ^ (REFLECTED if rest & 1 else 0)
        numbers.append(rest)
    return tuple(numbers)


def _times(matrix: tuple[int, ...], vector: int) -> int:
    product = 0
    for bit, column in enumerate(matrix):
        if vector >> bit & 1:
            product ^= column
    return product


@cache
def _zeros(power: int) -> tuple[int, ...]:
    """Return what 2**power zero bytes do to a checksum, as a matrix of 32 columns."""
    if power == 0:
        return tuple(_step(1 << bit, 0) for bit in range(32))
    half = _zeros(power - 1)
    return tuple(_times(half, column) for column in half)


def _step(state: int, byte: int) -> int:
    return state >> 8 ^ _table()[(state ^ byte) & 0xFF]


def crc32c(block: bytes) -> int:
    """Return the checksum of a block."""
    filled = block.rstrip(b"\0")
    table, state = _table(), 0xFFFF_FFFF
    for byte in filled:
        state = state >> 8 ^ table[(state ^ byte) & 0xFF]
    zeros = len(block) - len(filled)
    for power in range(zeros.bit_length()):
        if zeros >> power & 1:
            state = _times(_zeros(power), state)
    return state ^ 0xFFFF_FFFF
