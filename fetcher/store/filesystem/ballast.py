"""Room that is held to be given up: on a full disk even a deletion has to write."""

import os
from contextlib import suppress
from pathlib import Path

from fetcher.store.filesystem.disk import Disk

PIECE_BYTES = 1_048_576


class Ballast:
    """A file of so many bytes beside the index.

    Args:
        size: In bytes; 0 holds nothing.
    """

    def __init__(self, path: Path, size: int, disk: Disk) -> None:
        self._path = path
        self._size = size
        self._disk = disk

    def give_up(self) -> bool:
        """Free the room; False where none is held. Blocks."""
        try:
            held = self._path.lstat().st_size
            self._disk.unlink(self._path)
        except OSError:
            return False
        return held > 0

    def make(self) -> bool:
        """Hold the room again, where there is plenty; False where there is not. Blocks."""
        with suppress(OSError):
            if self._path.lstat().st_size == self._size:
                return True
        try:
            if not self._size or self._disk.room(self._path.parent)[0] < 4 * self._size:
                return False
            self._write()
        except OSError:
            self.give_up()
            return False
        return True

    def _write(self) -> None:
        self._disk.unlink(self._path)
        descriptor = self._disk.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            # Noise: a file system may keep zeros, or what compresses, in no room at all.
            for offset in range(0, self._size, PIECE_BYTES):
                piece = memoryview(os.urandom(min(PIECE_BYTES, self._size - offset)))
                while piece:
                    written = self._disk.write(descriptor, piece, offset)
                    piece, offset = piece[written:], offset + written  # noqa: PLW2901 - goes on within the piece
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
