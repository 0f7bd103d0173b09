"""The process's file descriptors: how many there may be, and whether any are left."""

import os
import resource
from contextlib import suppress

from fetcher.shortage import is_shortage


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
