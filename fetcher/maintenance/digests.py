"""Digests that come later: of bytes that came before anybody wanted them."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from fetcher.errors import BytesDamaged, StoreFailed
from fetcher.importer.context import Context
from fetcher.importer.stored_blobs import add_digests

log = structlog.get_logger()

SETTLE_SECONDS = 60.0  # A start has other things to read first.
LOOK_SECONDS = 60.0  # How soon a changed list of digests is seen.
AGAIN_SECONDS = 3600.0  # After a round in which some blobs could not be read.


class LateDigests:
    """Computes what is wanted, one blob after the other, at the rate of the scrub.

    There are two kinds: what a list of images needs, at once; and what the operator wants of every image, of
    those that came before that was so. With them, bytes that came under one kind of address are known when
    they come again under another.

    Args:
        sleep: Waits; a test may wait less.
    """

    def __init__(self, context: Context, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._context = context
        self._sleep = sleep
        self._done: frozenset[str] = frozenset()

    async def run_wanted(self) -> None:
        """Compute for ever what is asked for on this host."""
        while True:
            await self._context.wanted.news.wait()
            await self.compute_wanted()

    async def run_configured(self) -> None:
        """Compute for ever what the operator wants of all images; one host does it for all."""
        await self._sleep(SETTLE_SECONDS)
        while True:
            try:
                await self.compute_configured()
            except StoreFailed as failure:
                log.warning("digests.failed", detail=str(failure))
            await self._sleep(LOOK_SECONDS if self._configured() <= self._done else AGAIN_SECONDS)

    def _configured(self) -> frozenset[str]:
        return frozenset(self._context.current.settings.checksum.algorithms)

    async def compute_wanted(self) -> int:
        """Compute what was asked for; how many blobs got a digest. What fails is asked for again."""
        count = 0
        while (wanted := self._context.wanted.take()) is not None:
            address, algorithm = wanted
            count += await self._add(address, {algorithm})
        return count

    async def compute_configured(self) -> int:
        """Compute what is configured and missing, of all blobs; how many got a digest.

        Nothing is looked at where the configured digests are those of the last time: new blobs have them.

        Raises:
            StoreFailed: The index cannot be read.
        """
        wanted = self._configured()
        if wanted <= self._done:
            return 0
        count, after, is_all = 0, "", True
        while blobs := await self._context.index.maintenance.lacking(wanted, after=after):
            for blob in blobs:
                is_added = await self._add(blob.address, wanted)
                count += is_added
                is_all = is_all and is_added
            after = blobs[-1].address
        if is_all:
            self._done = wanted
        return count

    async def _add(self, address: str, algorithms: frozenset[str] | set[str]) -> bool:
        """Add digests of one blob; False where that could not be done now."""
        rate = self._context.current.settings.maintenance.scrub_bytes_per_second
        try:
            await add_digests(self._context, address, algorithms, rate, self._sleep)
        except BytesDamaged:
            return True  # It is marked, and digested with the next list or start once it is repaired.
        except StoreFailed as failure:
            log.warning("blob.undigested", address=address, detail=str(failure))
            return False
        return True
