"""The process's file descriptors: how many there may be, and whether any are left."""

import asyncio
import fcntl
import os
import resource
from contextlib import suppress

from fetcher.shortage import is_shortage

MAX_WATCHED = 65_536  # Half a mebibyte of pointers; whoever has more open pays as they come.
PLACE_BYTES = 16  # A pointer, in a table whose size is a power of two.
SLACK_BYTES = 65_536


def raise_limit(wanted: int) -> int:
    """Raise how many descriptors the process may have open, as far as the machine lets it.

    Returns:
        The limit in force from now on; it is never lowered.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most > soft:
        with suppress(OSError, ValueError):  # Somebody lowered it meanwhile: what is in force stays.
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def are_short() -> bool:
    """Return whether not even one more descriptor is to be had now."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return is_shortage(error)
    return False


def grow_descriptor_table(wanted: int) -> bool:
    """Have the running loop make its table of descriptors at its full size, while there is memory for it.

    uvloop's libuv lets it grow with the highest descriptor that it watches. Where there is no memory for that
    it frees the table and goes on with it, until the allocator ends the whole process.

    Args:
        wanted: How many descriptors the process may have open, when nobody takes any from it.

    Returns:
        Whether it has a place for each of them, or for `MAX_WATCHED`. Where descriptors are short, it may
        have fewer, or be as it was: call this again later.

    Raises:
        MemoryError: There is not enough now; nothing has changed.

    Source: libuv 1.52, `maybe_resize` in `src/unix/core.c`.
    """
    soft, hard = (wanted if one == resource.RLIM_INFINITY else one for one in _limits())
    all_places = min(wanted, MAX_WATCHED, hard)
    places = min(all_places, soft)
    bytearray(PLACE_BYTES * places + SLACK_BYTES)  # Given back at once: libuv takes it next.
    ends: list[int] = []
    try:
        ends += os.pipe()
        ends.append(fcntl.fcntl(ends[0], fcntl.F_DUPFD_CLOEXEC, places - 1))
        loop = asyncio.get_running_loop()
        loop.add_reader(ends[-1], lambda: None)
        loop.remove_reader(ends[-1])
    except OSError:  # None is left, or that very one is taken.
        return False
    finally:
        for end in ends:
            os.close(end)
    return places == all_places


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)
