"""The lock of a folder that one process writes to."""

import fcntl
import os
from pathlib import Path

from fetcher.errors import StoreFailed


class FolderLock:
    """Held from `take` to `release`, and let go of by the kernel when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock.

        Raises:
            StoreFailed: Another process holds it.
            OSError: The folder cannot be written.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._folder / "lock", flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreFailed(reason=f"{self._folder} is in use by another process") from error

    def release(self) -> None:
        """Give it back; twice is nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
