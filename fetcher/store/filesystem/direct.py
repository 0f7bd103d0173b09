"""Large pieces past the page cache: the disk takes them from memory, nobody copies them."""

import errno
import mmap
import os
import threading
from pathlib import Path

from fetcher.model import BLOCK_BYTES
from fetcher.shortage import is_shortage
from fetcher.store.filesystem.disk import Disk

LEAST_BYTES = 262_144  # Of a piece for which this is worth its while.
BOUNCE_BYTES = 1_048_576

# What a file system says that cannot do it, or not with this alignment.
CANNOT = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})


class Unsuited(Exception):
    """The file system cannot do it at all."""


class _Bounce(threading.local):
    """Memory of a thread that is aligned as disks want it; a mapping begins at a page."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, BOUNCE_BYTES)
        self.view = memoryview(self.memory)


_bounce = _Bounce()


class DirectFile:
    """A second way into a file that is being written: past the page cache.

    An image is written once and read much later, by others. Through the page
    cache each of its bytes is copied, each page is found and cleared first, and
    what was worth keeping there is pushed out.

    Args:
        path: Of the file; opened at the first piece.

    Source: open(2), O_DIRECT. Bytes may still be in the disk's own cache, and
    how long the file is may be in memory: a sync is needed all the same.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._descriptor = -1

    def write(self, piece: memoryview, offset: int) -> int:
        """Write the first whole blocks of a piece; how many bytes that were, 0 where it cannot be done now.

        Args:
            offset: Where a block begins.

        Raises:
            Unsuited: It can never be done here.
            OSError: The disk refused them.
        """
        size = min(len(piece), BOUNCE_BYTES) // BLOCK_BYTES * BLOCK_BYTES
        try:
            if self._descriptor < 0:
                self._descriptor = self._disk.open(self._path, os.O_WRONLY | os.O_DIRECT)
            _bounce.view[:size] = piece[:size]
            return self._disk.write(self._descriptor, _bounce.view[:size], offset)
        except OSError as error:
            if is_shortage(error):
                return 0  # This piece goes the common way, which needs no further descriptor.
            if error.errno not in CANNOT:
                raise
            raise Unsuited from error

    def close(self) -> None:
        """Close it; closing twice is nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
