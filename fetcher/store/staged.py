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
        descriptor: Open for writing, and for reading back.
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

    def read_at(self, offset: int, length: int) -> bytes:
        """Read back what was written.

        Raises:
            StoreFailed: The disk has lost it.
        """
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise translate(error, "read back") from error

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

    def park(self) -> None:
        """Make the bytes and the name durable, and close the file.

        Raises:
            StoreFull: The file system has no room, found out late.
            StoreFailed: The disk refused them.
        """
        self.sync()
        self.close()
        sync_folder(self.path.parent)

    def close(self) -> None:
        """Close the file; closing twice is nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def discard(self) -> None:
        """Close and remove the file; what is gone already is fine."""
        self.close()
        self.path.unlink(missing_ok=True)


def reopen(path: Path, size: int) -> Staged | None:
    """Take up a file that an earlier process left, cut to `size`; too short a one is removed: None."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if os.fstat(descriptor).st_size < size:
        Staged(path, descriptor).discard()
        return None
    os.ftruncate(descriptor, size)
    os.lseek(descriptor, size, os.SEEK_SET)
    return Staged(path, descriptor, size=size)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
