"""The few things that the store asks of a file system: a seam where a test makes them fail."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fetcher.model import BLOCK_BYTES
from fetcher.shortage import is_shortage

R = TypeVar("R")

SHORT_SECONDS = 0.05
MAX_SHORT_SECONDS = 60.0


def retry_short_work(work: Callable[[], R]) -> R:
    """Do what cannot be begun anew once more and again while the machine is short; for worker threads."""
    until = time.monotonic() + MAX_SHORT_SECONDS
    while True:
        try:
            return work()
        except OSError as error:
            if not is_shortage(error) or time.monotonic() >= until:
                raise
        time.sleep(SHORT_SECONDS)


class Disk:
    """The real file system; every method blocks and raises OSError."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file for this user only; links are not followed."""
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def open_to_read(self, path: Path) -> int:
        """Open a blob for reading."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def write(self, descriptor: int, piece: memoryview, offset: int) -> int:
        """Write some of a piece at an offset; how much is returned."""
        return os.pwrite(descriptor, piece, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Make the file this long; what was never written reads as zeros and takes no room."""
        os.ftruncate(descriptor, size)

    def push(self, descriptor: int, offset: int, length: int) -> None:
        """Have the disk begin to write what is there; nothing is waited for, nothing is durable yet.

        Source: posix_fadvise(2); on Linux this advice starts the write of dirty pages.
        """
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)

    def sync(self, descriptor: int) -> None:
        """Make a file durable."""
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = retry_short_work(lambda: os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, path: Path, target: Path) -> None:
        """Give a file its other name, in one step."""
        path.rename(target)

    def unlink(self, path: Path) -> None:
        """Remove a name; one that is gone already is fine."""
        path.unlink(missing_ok=True)

    def probe(self, folder: Path) -> None:
        """Write a page to a file without a name, and make it durable.

        Raises:
            OSError: The file system refuses, is full or read-only; or no descriptor is left.

        Source: open(2), O_TMPFILE; a file system without it is probed by a name that is removed again.
        """
        try:
            descriptor = self.open(folder, os.O_WRONLY | os.O_TMPFILE)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
                raise
            path = folder / ".probe"
            descriptor = self.open(path, os.O_WRONLY | os.O_CREAT)
            self.unlink(path)
        try:
            self.write(descriptor, memoryview(bytes(BLOCK_BYTES)), 0)
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def room(self, path: Path) -> tuple[int, int]:
        """Return how many bytes are free for us, and how many the file system has in all."""
        state = os.statvfs(path)
        return state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize


DISK = Disk()
