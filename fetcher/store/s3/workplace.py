"""Staged bytes as files of this machine, for programs that read and write files."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiofiles

from fetcher.errors import StoreFailed
from fetcher.store.filesystem.staged import translate
from fetcher.store.protocol import Staged

COPY_BYTES = 16_777_216
WRITE_BYTES = 1_048_576


def copy_to(staged: Staged, path: Path) -> None:
    """Copy staged bytes to a new file.

    Raises:
        StoreFull: This machine's disk has no room for them.
        StoreFailed: They cannot be read, or the disk refused.
    """
    try:
        with path.open("xb") as file:
            for offset in range(0, staged.size, COPY_BYTES):
                piece = staged.read_at(offset, COPY_BYTES)
                if not piece:
                    raise StoreFailed(reason="stage locally: the bytes broke off")
                file.write(piece)
    except OSError as error:
        raise translate(error, "stage locally") from error


async def save(chunks: AsyncIterator[bytes], path: Path) -> None:
    """Write a stream to a new file.

    Raises:
        StoreFull: This machine's disk has no room for it.
        StoreFailed: It breaks off, or the disk refused.
    """
    try:
        async with aiofiles.open(path, "xb") as file:
            async for chunk in chunks:
                await file.write(chunk)
    except OSError as error:
        raise translate(error, "stage locally") from error


def fill(staged: Staged, path: Path) -> None:
    """Append a file to staged bytes.

    Raises:
        StoreFull: The store has no room for them.
        StoreFailed: The file cannot be read, or the store refused.
    """
    try:
        with path.open("rb") as file:
            while chunk := file.read(WRITE_BYTES):
                staged.write(chunk)
    except OSError as error:
        raise translate(error, "stage locally") from error
