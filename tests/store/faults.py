"""A file system that fails when told to: one operation, at one turn, with one errno."""

import os
from pathlib import Path

from fetcher.store.filesystem.disk import Disk


class FaultyDisk(Disk):
    """The real file system, but for one operation.

    Args:
        operation: A method's name.
        number: The errno to fail with; 0 makes writes short instead.
        turn: Which call fails, from 1; all later ones fail too when `for_good`.
    """

    def __init__(self, operation: str, number: int, turn: int = 1, *, for_good: bool = False) -> None:
        self.operation = operation
        self.number = number
        self.turn = turn
        self.for_good = for_good
        self.calls = 0

    def _strike(self, operation: str) -> None:
        if operation != self.operation or not self.number:
            return
        self.calls += 1
        if self.calls == self.turn or (self.for_good and self.calls > self.turn):
            raise OSError(self.number, os.strerror(self.number))

    def open(self, path: Path, flags: int) -> int:
        self._strike("open")
        return super().open(path, flags)

    def open_to_read(self, path: Path) -> int:
        self._strike("open_to_read")
        return super().open_to_read(path)

    def write(self, descriptor: int, piece: memoryview, offset: int) -> int:
        self._strike("write")
        if self.operation == "write" and not self.number:
            piece = piece[: max(1, len(piece) // 3)]
        return super().write(descriptor, piece, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        self._strike("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._strike("sync")
        super().sync(descriptor)

    def sync_folder(self, path: Path) -> None:
        self._strike("sync_folder")
        super().sync_folder(path)

    def rename(self, path: Path, target: Path) -> None:
        self._strike("rename")
        super().rename(path, target)

    def unlink(self, path: Path) -> None:
        self._strike("unlink")
        super().unlink(path)

    def room(self, path: Path) -> tuple[int, int]:
        self._strike("room")
        return super().room(path)
