"""Tuning of the C library's memory: pieces are kept for the next ones, in place of being given back."""

import ctypes
from contextlib import suppress

# mallopt(3), malloc.h of the GNU C library.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

KEPT_BYTES = 67_108_864
LARGEST_BYTES = 33_554_432


def keep_freed_memory() -> bool:
    """Have freed pieces kept for the next ones, at most `KEPT_BYTES` of them; False where that cannot be set.

    A pull makes and frees a piece of a mebibyte a thousand times for each GiB.
    Left to itself the library gives the memory back in between, and each page
    is then found and cleared by the kernel again: a hundred thousand times.

    Source: mallopt(3). Other C libraries have no such switch, or need none.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        # The one switches off that the library learns the other, so both are set.
        return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
    return False
