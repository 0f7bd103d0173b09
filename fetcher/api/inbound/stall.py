"""The time that a client may stand still: seconds that pass use it up, bytes that move restore it."""

import fcntl
import struct
import termios
from contextlib import suppress
from typing import Any

# So much longer may one wait for a head than another: a thousand who came together do not leave, and come
# back, together.
LATER = 1.3
LEAVING_SECONDS = 1.0  # Before a client whose place was needed is disconnected.


class StallTimer:
    """Seconds left for one direction of one connection.

    Silence and slowness are one thing here: a client that moves fewer bytes
    than the least rate uses up its seconds sooner or later, and one that is
    faster has all of them again at once. Only time spent waiting for the client
    counts.

    Args:
        seconds: What there is at most, and at the beginning.
        bytes_per_second: The least rate.
    """

    __slots__ = ("_bytes_per_second", "_most", "left")

    def __init__(self, seconds: float, bytes_per_second: int) -> None:
        self._most = seconds
        self._bytes_per_second = bytes_per_second
        self.left = seconds

    def spend(self, seconds: float) -> bool:
        """Count time spent waiting; True when none is left."""
        self.left -= seconds
        return self.left <= 0

    def restore(self, size: int) -> None:
        """Count bytes that have moved."""
        self.left = min(self._most, self.left + size / self._bytes_per_second)


def unsent_by_kernel(transport: Any) -> int:
    """Return how many bytes the other end has not acknowledged (tcp(7), SIOCOUTQ)."""
    sock = transport.get_extra_info("socket")
    with suppress(OSError, AttributeError, struct.error):
        (size,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        return int(size)
    return 0
