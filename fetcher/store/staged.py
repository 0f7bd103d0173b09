"""A file that is being received and that nobody else can see."""

import os
from pathlib import Path

from fetcher.errors import StoreFailed, StoreFull

NO_SPACE = frozenset({28, 122})  # ENOSPC, EDQUOT


def translate(error: OSError, doing: str) -> StoreFull | StoreFailed:
    """Name what the file system refused."""
    if error.errno in NO_SPACE:
        return StoreFull()
    return StoreFailed(reason=f"{doing}: {error.strerror or error}")


class Staged:
    """An open staging file; its methods block and belong into a worker thread.

    Args:
        path: Inside the store's staging folder.
        descriptor: Open for writing.
    """

    def __init__(self, path: Path, descriptor: int, *, size: int = 0) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = size

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StoreFull: The file system has no room.
            StoreFailed: The file system refused the write.
        """
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise translate(error, "write") from error
        self.size += len(chunk)

    def sync(self) -> None:
        """Make the bytes durable.

        Raises:
            StoreFull: The file system has no room, found out late.
            StoreFailed: The disk refused them.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise translate(error, "fsync") from error

    def close(self) -> None:
        """Close the file; closing twice is nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def discard(self) -> None:
        """Close and remove the file; what is gone already is fine."""
        self.close()
        self.path.unlink(missing_ok=True)
