"""Tuning of the C library's memory: pieces are kept for the next ones, in place of being given back."""

import ctypes
from contextlib import suppress

# mallopt(3), malloc.h of the GNU C library.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

KEPT_BYTES = 67_108_864
LARGEST_BYTES = 33_554_432
MAX_ARENAS = 2  # By default eight a processor, and each keeps what its threads have freed.


def keep_freed_memory() -> bool:
    """Have freed pieces kept for the next ones, at most `KEPT_BYTES` of them; False where that cannot be set.

    A pull makes and frees a piece of a mebibyte a thousand times for each GiB.
    Left to itself the library gives the memory back in between, and each page
    is then found and cleared by the kernel again: a hundred thousand times.

    Source: mallopt(3). Other C libraries have no such switch, or need none.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        # The first switches off that the library learns the second, so both are set.
        wanted = {M_MMAP_THRESHOLD: LARGEST_BYTES, M_TRIM_THRESHOLD: KEPT_BYTES, M_ARENA_MAX: MAX_ARENAS}
        return all(mallopt(name, value) for name, value in wanted.items())
    return False
