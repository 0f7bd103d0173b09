"""Staged and committed files as they are, for programs that read and write files."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fetcher.errors import StoreFailed
from fetcher.store.filesystem.layout import Layout
from fetcher.store.filesystem.staged import translate
from fetcher.store.protocol import Staged, Store, Workplace


class Workplaces:
    """Lends files of a store to programs, and takes up what they make: nothing is copied."""

    def __init__(self, store: Store, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    @asynccontextmanager
    async def of_staged(self, staged: Staged) -> AsyncIterator[Workplace]:
        """Give a program a staged file, and a name beside it for what it makes."""
        await self._store.settle(staged)
        source = self._layout.staging / staged.name
        async with self._place(source, f"{staged.name}.converted") as place:
            yield place

    def of_blob(self, address: str, name: str) -> AbstractAsyncContextManager[Workplace]:
        """Give a program a blob's file, and a name in staging for what it makes."""
        return self._place(self._layout.blob_path(address), name)

    @asynccontextmanager
    async def _place(self, source: Path, name: str) -> AsyncIterator[Workplace]:
        await self._store.remove_staged(name)  # Of an earlier run in this process.
        try:
            yield Workplace(source=str(source), target=str(self._layout.staging / name), is_copy=False)
        except BaseException:
            await self._store.remove_staged(name)
            raise

    async def take_result(self, place: Workplace) -> Staged:
        """Take up what a program has made: it lies in staging already.

        Raises:
            StoreFailed: There is nothing, or it cannot be used.
        """
        path = Path(place.target)
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
        except OSError as error:
            raise translate(error, "stage") from error
        staged = await self._store.reopen(path.name, size)
        if staged is None:
            raise StoreFailed(reason="stage: there is no result")
        return staged
