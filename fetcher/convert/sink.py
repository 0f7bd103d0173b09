"""Files that take the output of a one-pass converter: zeros take no room in them."""

import os
from collections.abc import Iterator
from pathlib import Path

from fetcher.convert.streaming import Keep, Output
from fetcher.model import BLOCK_BYTES

ZEROS = bytes(BLOCK_BYTES)


class RawSink:
    """A raw disk that is being written, and beside it what no table has named so far.

    Its methods block and belong into a worker thread.

    Args:
        target: Made anew; must not exist.
        kept: Made when it is first needed, and removed by `close`.
    """

    def __init__(self, target: Path, kept: Path) -> None:
        self._kept_path = kept
        self._kept = -1
        self.written_bytes = 0
        self.kept_bytes = 0
        self._target = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def take(self, output: Output) -> None:
        """Carry out one output."""
        if isinstance(output, Keep):
            if self._kept < 0:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._kept = os.open(self._kept_path, flags, 0o600)
            self.kept_bytes += _write_runs(self._kept, output.data, output.offset)
        else:
            self.written_bytes += _write_runs(self._target, output.data, output.offset)

    def recall(self, offset: int, length: int) -> bytes:
        """Read back what was kept."""
        found = os.pread(self._kept, length, offset) if self._kept >= 0 else b""
        return found.ljust(length, b"\0")

    def finish(self, virtual_bytes: int) -> None:
        """Give the disk its full size."""
        os.ftruncate(self._target, virtual_bytes)

    def close(self) -> None:
        """Close both files and remove what was kept."""
        os.close(self._target)
        if self._kept >= 0:
            os.close(self._kept)
            self._kept_path.unlink(missing_ok=True)


def _write_runs(descriptor: int, data: bytes | memoryview, offset: int) -> int:
    """Write all but whole blocks of zeros; return how many bytes were written."""
    written = 0
    view = memoryview(data)
    for begin, end in nonzero_runs(data, offset):
        at = begin
        while at < end:
            at += os.pwrite(descriptor, view[at:end], offset + at)
        written += end - begin
    return written


def nonzero_runs(data: bytes | memoryview, offset: int) -> Iterator[tuple[int, int]]:
    """Find the parts that must be written; all between them are whole blocks of zeros.

    Args:
        offset: Where in the file the bytes belong; blocks are aligned to the file.
    """
    first = -offset % BLOCK_BYTES
    heads = bytes(data[first : max(0, len(data) - BLOCK_BYTES + 1) : BLOCK_BYTES])
    begin = 0
    found = heads.find(0)
    while found >= 0:
        at = first + found * BLOCK_BYTES
        if data[at : at + BLOCK_BYTES] == ZEROS:
            if at > begin:
                yield begin, at
            begin = at + BLOCK_BYTES
        found = heads.find(0, found + 1)
    if begin < len(data):
        yield begin, len(data)
