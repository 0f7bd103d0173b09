"""A file that is being received and that nobody else can see."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from fetcher import crash
from fetcher.errors import Shortage, StoreFailed, StoreFull
from fetcher.model import BLOCK_BYTES
from fetcher.shortage import is_shortage
from fetcher.store.filesystem.direct import LEAST_BYTES, DirectFile, Unsuited
from fetcher.store.filesystem.disk import DISK, Disk
from fetcher.store.filesystem.sparse import written_runs

MARK = "user.fetcher.mark"
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
# The disk begins to write after this much, so that the sync at the end finds little left to do.
PUSH_BYTES = 16_777_216


def translate(error: OSError, doing: str) -> StoreFull | StoreFailed:
    """Name what the file system refused."""
    if error.errno in NO_SPACE:
        return StoreFull()
    if is_shortage(error):
        return Shortage(reason=f"{doing}: {error.strerror or error}")
    return StoreFailed(reason=f"{doing}: {error.strerror or error}")


class Staged:
    """An open staging file; its methods block and belong into a worker thread.

    Whole blocks of zeros are left out of the file and read as zeros all the
    same, so that an image of an empty disk takes no room.

    Args:
        path: Inside the store's staging folder.
        descriptor: Open for writing, and for reading back.
        size: How many bytes it holds already.
        is_direct: Whether large pieces go past the page cache, where the file system can do that.

    Attributes:
        name: By which a later process finds the file again.
        is_moved: It has another name for good, so that nothing is left to remove.
        may_have_mark: An earlier process, or this one, may have noted how many bytes there are.
    """

    def __init__(
        self, path: Path, descriptor: int, *, size: int = 0, disk: Disk = DISK, is_direct: bool = True
    ) -> None:
        self.path = path
        self.name = path.name
        self.size = size
        self.is_moved = False
        self.may_have_mark = False
        self._descriptor = descriptor
        self._disk = disk
        self._end = size
        self._pushed = size
        with suppress(OSError):  # Without locks, `store check` reports too many leftovers.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._is_direct = is_direct
        self._direct: DirectFile | None = None

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StoreFull: The file system has no room.
            StoreFailed: The file system refused the write.
        """
        self.write_at(chunk, self.size)
        if self.size - self._pushed >= PUSH_BYTES:
            with suppress(OSError):  # Advice only; `sync` raises what the disk refuses.
                self._disk.push(self._descriptor, self._pushed, self.size - self._pushed)
            self._pushed = self.size
        crash.reach("store.written")

    def write_at(self, chunk: bytes, offset: int) -> None:
        """Write bytes at a place of their own, which may lie past the end: what is between reads as zeros.

        Raises:
            StoreFull: The file system has no room.
            StoreFailed: The file system refused the write.
        """
        whole = memoryview(chunk)
        try:
            for begin, end in written_runs(chunk, offset):
                self._write_at(whole[begin:end], offset + begin)
        except OSError as error:
            raise translate(error, "write") from error
        self.size = max(self.size, offset + len(chunk))

    def _write_at(self, rest: memoryview, offset: int) -> None:
        while rest:
            # Smaller pieces are joined by the page cache; each would wait for the disk by itself.
            is_direct = self._is_direct and len(rest) >= LEAST_BYTES and offset % BLOCK_BYTES == 0
            written = self._write_direct(rest, offset) if is_direct else 0
            written = written or self._disk.write(self._descriptor, rest, offset)
            if written == 0:
                raise OSError(errno.EIO, "nothing was written")
            rest, offset = rest[written:], offset + written
        self._end = offset

    def _write_direct(self, piece: memoryview, offset: int) -> int:
        """Write what can go past the page cache; 0 where nothing can."""
        if self._direct is None:
            self._direct = DirectFile(self.path, self._disk)
        try:
            return self._direct.write(piece, offset)
        except Unsuited:
            self._is_direct = False
            return 0

    def sync(self) -> None:
        """Give the file its full length and make the bytes durable; once it is closed, they are.

        Raises:
            StoreFull: The file system has no room, found out late.
            StoreFailed: The disk refused them.
        """
        if self._descriptor < 0:
            return
        try:
            if self._end < self.size:
                self._disk.truncate(self._descriptor, self.size)
                self._end = self.size
            self._disk.sync(self._descriptor)
        except OSError as error:
            raise translate(error, "fsync") from error
        crash.reach("store.synced")

    def read_at(self, offset: int, length: int) -> bytes:
        """Read back what was written.

        Raises:
            StoreFailed: The disk has lost it.
        """
        try:
            found = os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise translate(error, "read back") from error
        return found.ljust(
            max(0, min(length, self.size - offset)), b"\0"
        )  # Zeros at its end are not written.

    def mark(self, size: int, digest: str) -> None:
        """Note beside the bytes how many there are and their digest, for a later process after a kill.

        Not every file system can; then the last checkpoint has to do.
        """
        self.may_have_mark = True
        with suppress(OSError):
            os.setxattr(self._descriptor, MARK, f"{size} {digest}".encode())

    def park(self) -> None:
        """Make the bytes and the name durable, and close the file.

        Raises:
            StoreFull: The file system has no room, found out late.
            StoreFailed: The disk refused them.
        """
        self.sync()
        self.close()
        self._disk.sync_folder(self.path.parent)

    def close(self) -> None:
        """Close the file; closing twice is nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            if self.may_have_mark:
                with suppress(OSError):
                    os.removexattr(descriptor, MARK)
            os.close(descriptor)
            if self._direct is not None:
                self._direct.close()

    def discard(self) -> None:
        """Close and remove the file; what is gone already is fine."""
        with suppress(OSError):  # Only a write-back error, of bytes that nobody wants.
            self.close()
        self._disk.unlink(self.path)
        crash.reach("store.discarded")


def reopen(path: Path, size: int, disk: Disk, *, is_direct: bool = True) -> Staged | None:
    """Take up a file that an earlier process left, made this long; None where it is gone.

    Zeros at its end may never have been written; its digest shows whether all is as it was.
    """
    try:
        descriptor = disk.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    disk.truncate(descriptor, size)
    staged = Staged(path, descriptor, size=size, disk=disk, is_direct=is_direct)
    staged.may_have_mark = True
    return staged


def is_in_use(path: Path) -> bool:
    """Return whether a process, this one or another, has a staged file open for writing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # Gone, or nothing that this service makes.
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def mark_of(path: Path) -> tuple[int, str] | None:
    """Return how many bytes an earlier process had written, and their digest; None where it was not noted."""
    try:
        size, digest = os.getxattr(path, MARK, follow_symlinks=False).decode("ascii").split(" ")
        return int(size), digest
    except (OSError, ValueError):
        return None
