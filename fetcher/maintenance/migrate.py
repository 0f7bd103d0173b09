"""Moving the bytes of images from one store to another, beside a running service or without one."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Literal

import msgspec

from fetcher.errors import StoreFailed
from fetcher.index.protocol import Index
from fetcher.index.values import BlobState
from fetcher.model import algorithm_of
from fetcher.store.protocol import Store

What = Literal["copied", "there", "to-copy", "damaged", "missing"]


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """The fate of the bytes of one digest.

    Args:
        what: copied; there: at the target already; to-copy: in a dry run; damaged, missing: at the source.
    """

    what: What
    address: str
    size: int


class Migration:
    """Copies every blob that an index knows; what is whole at the target already is left alone.

    Bytes are digested as they are read and again as they are read back from the target. They have
    their name there only when they are whole, so a migration may be killed and begun anew.
    """

    def __init__(self, index: Index, source: Store, target: Store) -> None:
        self._index = index
        self._source = source
        self._target = target

    async def run(self, *, is_dry: bool = False) -> AsyncIterator[Moved]:
        """Yield what became of each.

        Raises:
            StoreFull: The target has no room.
            StoreFailed: A store or the index refused, or the target did not give back what it was given.
        """
        after = ""
        while page := await self._index.maintenance.page(after=after):
            for blob in page:
                moved = await self._move(blob, is_dry=is_dry)
                # A row that is gone by now was deleted meanwhile: nobody needs the bytes.
                if moved.what != "missing" or await self._index.maintenance.find(blob.address) is not None:
                    yield moved
            after = page[-1].address

    async def _move(self, blob: BlobState, *, is_dry: bool) -> Moved:
        if await self._target.size(blob.address) == blob.size:
            return Moved(what="there", address=blob.address, size=blob.size)
        size = await self._source.size(blob.address)
        if size is None:
            return Moved(what="missing", address=blob.address, size=blob.size)
        what: What = "to-copy" if is_dry else "copied" if await self._copy(blob) else "damaged"
        return Moved(what=what, address=blob.address, size=blob.size)

    async def _copy(self, blob: BlobState) -> bool:
        """Copy one; False where the source does not have the bytes of that name."""
        import_id = f"migrate-{blob.address[:32]}"
        await self._target.remove_staged(f"{import_id}.0")  # Of a migration that was killed.
        staged = await self._target.stage(import_id, 0)
        try:
            hasher = hashlib.new(algorithm_of(blob.address))
            async for chunk in self._source.read(blob.address):
                await asyncio.to_thread(hasher.update, chunk)
                await asyncio.to_thread(staged.write, chunk)
            if hasher.hexdigest() != blob.address:
                return False
            async with self._target.holding(blob.address):
                await self._target.commit(staged, blob.address)
        finally:
            await self._target.discard(staged)
        await self._compare(blob.address)
        return True

    async def _compare(self, address: str) -> None:
        hasher = hashlib.new(algorithm_of(address))
        async for chunk in self._target.read(address):
            await asyncio.to_thread(hasher.update, chunk)
        if hasher.hexdigest() != address:
            async with self._target.holding(address):
                await self._target.remove(address)
            raise StoreFailed(reason=f"migrate: the target does not give back the bytes of {address}")
