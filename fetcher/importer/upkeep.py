"""Looking after the store in the background: loose files, blobs that rot, records that are old."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from fetcher.errors import Failure, StoreFailed
from fetcher.importer.mend import Mender
from fetcher.importer.parts import Parts
from fetcher.index import BlobState
from fetcher.store import Store

log = structlog.get_logger()

ROUND_SECONDS = 3600.0
LOOSE_SECONDS = 3600.0  # By then whoever was committing these bytes has long ended.

Fault = Literal["missing", "rotten"]


class Upkeep:
    """The rounds of one service.

    Args:
        forget_old: Drops old imports; how many went.
        sleep: Waits; a test may wait less.
    """

    def __init__(
        self,
        parts: Parts,
        forget_old: Callable[[], Awaitable[int]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._parts = parts
        self._forget_old = forget_old
        self._sleep = sleep
        self._mender = Mender(parts)

    async def start(self) -> None:
        """Remove the files of blobs that a stopped process was about to commit or to remove.

        Before any import runs. Files that the index knows nothing of stay:
        they may be somebody's, and `fetcher store gc` is there for them.
        """
        await self._settle_loose(None)

    async def run(self) -> None:
        """Go round for ever; chores do not wait until everything has been read."""
        await asyncio.gather(self._again(self.do_chores), self._again(self.look_after_blobs))

    async def _again(self, round_: Callable[[], Awaitable[None]]) -> None:
        """Do a round now and then; one that fails is told and tried again."""
        while True:
            try:
                await round_()
            except Failure as failure:
                log.error("upkeep.failed", code=failure.code, detail=str(failure))  # noqa: TRY400 - a fact, not a fault
            except Exception as error:
                log.exception("upkeep.fault", error=repr(error))
            await self._sleep(ROUND_SECONDS)

    async def do_chores(self) -> None:
        """Remove what is left over, forget what is old."""
        await self._parts.store.retry_leftovers()
        await self._settle_loose(datetime.now(UTC) - timedelta(seconds=LOOSE_SECONDS))
        await self.forget()

    async def look_after_blobs(self) -> None:
        """Read the blobs that are due, and pull the faulty ones again."""
        await self.scrub()
        if self._parts.settings().upkeep.mend:
            await self.mend()

    async def forget(self) -> None:
        """Drop imports, lines of the audit trail and idempotency keys that are old enough."""
        rules = self._parts.settings().upkeep
        now = datetime.now(UTC)
        while await self._forget_old():
            await self._sleep(0)
        audit, keys = timedelta(days=rules.keep_audit_days), timedelta(days=rules.keep_idempotency_days)
        while await self._parts.index.upkeep.forget(audit_before=now - audit, keys_before=now - keys):
            await self._sleep(0)

    async def scrub(self, *, before: datetime | None = None) -> dict[str, int]:
        """Read every blob that is due, at a bounded rate, and mark those that rotted.

        Args:
            before: Blobs read since then are not due; by default, as the settings say.

        Returns:
            How many blobs were found whole, missing or rotten.
        """
        age = timedelta(days=self._parts.settings().upkeep.scrub_days)
        now = datetime.now(UTC)
        before = min(before or now - age, now)  # Else what was just read would be due again.
        found = {"whole": 0, "missing": 0, "rotten": 0}
        while blobs := await self._parts.index.upkeep.due(before):
            for blob in blobs:
                inode = self._parts.store.inode(blob.sha256)
                rate = self._parts.settings().upkeep.scrub_bytes_per_second
                fault = await read_blob(self._parts.store, blob, rate, self._sleep)
                if await self.mark(blob, fault, inode):
                    found[fault or "whole"] += 1
        return found

    async def mark(self, blob: BlobState, fault: Fault | None, inode: int | None) -> bool:
        """Write down what reading a blob showed; False when it was deleted or replaced meanwhile.

        Args:
            inode: Of the file as it was before it was read.
        """
        async with self._parts.store.holding(blob.sha256):
            now = await self._parts.index.upkeep.find(blob.sha256)
            if now is None or self._parts.store.inode(blob.sha256) != inode:
                return False
            if fault is not None and fault != now.fault:
                log.error("blob.faulty", sha256=blob.sha256, fault=fault)
            return await self._parts.index.upkeep.mark(blob.sha256, fault, datetime.now(UTC))

    async def mend(self) -> int:
        """Pull faulty blobs again from where they came; how many are whole again."""
        mended = 0
        for blob in await self._parts.index.upkeep.faulty():
            if await self._mender.mend(blob):
                mended += 1
                log.info("blob.mended", sha256=blob.sha256)
            else:
                log.error("blob.lost", sha256=blob.sha256, fault=blob.fault)
        return mended

    async def _settle_loose(self, before: datetime | None) -> None:
        for sha256 in await self._parts.index.upkeep.loose(before):
            async with self._parts.store.holding(sha256):
                if not await self._parts.index.images.has_blob(sha256):
                    await self._parts.store.remove(sha256)
                await self._parts.index.upkeep.settle(sha256)


async def read_blob(
    store: Store,
    blob: BlobState,
    bytes_per_second: int | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Fault | None:
    """Read a blob and compare it with its name; None when it is whole.

    Args:
        bytes_per_second: The rate to read at; None looks at its size alone.
    """
    if bytes_per_second is None:
        size = store.size(blob.sha256)
        return "missing" if size is None else None if size == blob.size else "rotten"
    hasher = hashlib.sha256()
    size, began = 0, asyncio.get_running_loop().time()
    try:
        async for chunk in store.read(blob.sha256):
            await asyncio.to_thread(hasher.update, chunk)
            size += len(chunk)
            ahead = size / bytes_per_second - (asyncio.get_running_loop().time() - began)
            if ahead > 0:
                await sleep(ahead)
    except StoreFailed as failure:
        return "missing" if isinstance(failure.__cause__, FileNotFoundError) else "rotten"
    return None if hasher.hexdigest() == blob.sha256 and size == blob.size else "rotten"
