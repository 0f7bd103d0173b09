"""Tables of fixed-width integers as arrays, whatever the byte order of this machine."""

import sys
from array import array
from typing import Literal

Order = Literal["big", "little"]


def integers(table: bytes, width: Literal[4, 8], order: Order) -> "array[int]":
    """Read a table of unsigned integers of `width` bytes; an incomplete last one is left out."""
    typecode = "Q" if width == 8 else next(code for code in "IL" if array(code).itemsize == 4)
    numbers = array(typecode, table[: len(table) // width * width])
    if order != sys.byteorder:
        numbers.byteswap()
    return numbers


def round_up(number: int, step: int) -> int:
    """Return the next multiple of `step`."""
    return -(-number // step) * step


def is_power_of_two(number: int) -> bool:
    """Answer whether exactly one bit is set."""
    return number > 0 and number & (number - 1) == 0
