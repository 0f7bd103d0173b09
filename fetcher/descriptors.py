"""The process's file descriptors: how many there may be, and whether any are left."""

import asyncio
import fcntl
import os
import resource
from contextlib import suppress

from fetcher.shortage import is_shortage

MAX_WATCHED = 65_536  # Half a mebibyte of pointers; whoever has more open pays as they come.


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


def grow_descriptor_table(most: int = MAX_WATCHED) -> None:
    """Have the running loop make its table of descriptors at its full size, as long as there is memory.

    uvloop's libuv lets it grow with the highest descriptor that it watches. Where there is no memory for that
    it frees the table and goes on with it, until the allocator ends the whole process.

    Args:
        most: Descriptors that it has places for afterwards, unless the process may have fewer open.

    Source: libuv 1.52, `maybe_resize` in `src/unix/core.c`.
    """
    loop = asyncio.get_running_loop()
    highest = min(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0]) - 1
    watched, other = os.pipe()
    try:
        copy = fcntl.fcntl(watched, fcntl.F_DUPFD_CLOEXEC, highest)
    except OSError:  # That very number is taken, or none is left: then the table has grown already.
        return
    finally:
        os.close(watched)
        os.close(other)
    try:
        loop.add_reader(copy, lambda: None)
        loop.remove_reader(copy)
    finally:
        os.close(copy)
