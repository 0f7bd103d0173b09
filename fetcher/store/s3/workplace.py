"""Staged bytes as files of this machine, for programs that read and write files."""

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from pathlib import Path

import aiofiles

from fetcher.aio.shield import in_thread
from fetcher.errors import StoreFailed
from fetcher.store.filesystem.staged import translate
from fetcher.store.protocol import Staged, Store, Workplace

COPY_BYTES = 16_777_216
WRITE_BYTES = 1_048_576


class Workplaces:
    """Brings bytes of a store to this machine, and takes back what a program has made of them.

    Args:
        scratch: A folder of this machine.
        pool: Its threads copy.
    """

    def __init__(self, store: Store, scratch: Path, pool: Executor) -> None:
        self._store = store
        self._scratch = scratch
        self._pool = pool

    @asynccontextmanager
    async def of_staged(self, staged: Staged) -> AsyncIterator[Workplace]:
        """Give a program a copy of staged bytes on this machine, which goes at the end."""
        async with self._place(f"{staged.name}.converted") as place:
            await in_thread(self._pool, lambda: copy_to(staged, Path(place.source)))
            yield place

    @asynccontextmanager
    async def of_blob(self, address: str, name: str) -> AsyncIterator[Workplace]:
        """Give a program a copy of committed bytes on this machine, which goes at the end."""
        async with self._place(name) as place:
            await save(self._store.read(address), Path(place.source))
            yield place

    @asynccontextmanager
    async def _place(self, name: str) -> AsyncIterator[Workplace]:
        source, target = self._scratch / f"{name}.source", self._scratch / name
        try:
            yield Workplace(source=str(source), target=str(target), is_copy=True)
        finally:
            for path in (source, target):
                path.unlink(missing_ok=True)

    async def take_result(self, place: Workplace) -> Staged:
        """Stage what a program has made."""
        target = Path(place.target)
        await self._store.remove_staged(f"{target.name}.0")  # Of an earlier run, which could not remove it.
        staged = await self._store.stage(target.name, 0)
        try:
            await in_thread(self._pool, lambda: fill(staged, target))
        except BaseException:
            await self._store.discard(staged)
            raise
        return staged


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
