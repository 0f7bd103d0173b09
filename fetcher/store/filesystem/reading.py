"""Files of the store that are read, sent and listed."""

import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from aiofiles.threadpool import wrap

from fetcher.aio.shield import opened
from fetcher.store.protocol import StoredItem


async def read_open(
    raw: io.FileIO, pool: Executor, offset: int, length: int | None, piece_bytes: Callable[[], int]
) -> AsyncIterator[bytes]:
    """Stream a part of an open file, which stays the caller's.

    Args:
        length: None reads to the end.
        piece_bytes: Asked before each read how much to read.

    Raises:
        OSError: It cannot be read.
    """
    file = wrap(raw, executor=pool)
    raw.seek(offset)
    left = length
    while left is None or left > 0:
        most = piece_bytes()
        # A thread that still reads must not meet a descriptor that belongs to another file by then.
        chunk = await opened(file.read(most if left is None else min(most, left)), _let_go)
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        yield chunk


def _let_go(_chunk: bytes) -> None:
    """Nothing is to be undone of what was read."""


def open_to_send(file: io.FileIO, offset: int) -> io.FileIO:
    """Make an open file ready for the kernel to send; raises OSError where it cannot be read."""
    try:
        os.posix_fadvise(file.fileno(), offset, 0, os.POSIX_FADV_SEQUENTIAL)
        os.pread(file.fileno(), 1, offset)  # Else what the disk lost would break the answer off.
    except OSError:
        file.close()
        raise
    return file


def described(paths: list[Path], folder: Path) -> Iterator[StoredItem]:
    """Yield name and size of files within a folder; those that are gone by now are left out."""
    for path in paths:
        with suppress(FileNotFoundError):
            yield StoredItem(name=str(path.relative_to(folder)), address=path.name, size=path.lstat().st_size)
