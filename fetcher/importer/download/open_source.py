"""Opening a source so that its answer goes on exactly where the bytes ended, or is a whole one."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext

import msgspec

from fetcher.config import Settings
from fetcher.importer.download.parallel_ranges import Origin, ParallelRangeReader, can_read_in_parallel
from fetcher.importer.download.sources import Sources
from fetcher.importer.schedule.connections import Connections
from fetcher.model import Hop
from fetcher.pipeline import Peer
from fetcher.transport import Gate, Source


class Unchanged(Exception):
    """The source still has the version that it was asked about."""


class RangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a source.

    Args:
        offset: How many bytes there are already.
        if_range: What they are bound to.
        declared_bytes: Of the whole, as said with the first of them.
        known_etag: Of a version in the store: 304 is then an answer.
    """

    offset: int = 0
    if_range: str | None = None
    declared_bytes: int | None = None
    known_etag: str | None = None


class SourceOpener:
    """The answers of one pull's sources.

    Args:
        on_hop: Called for each request of a first connection.

    Attributes:
        is_narrow: One connection is all that is used.
    """

    def __init__(
        self,
        gate: Gate,
        sources: Sources,
        settings: Settings,
        connections: Connections,
        on_hop: Callable[[Hop], None],
    ) -> None:
        self._gate = gate
        self._sources = sources
        self._settings = settings
        self._connections = connections
        self._on_hop = on_hop
        self.is_narrow = False
        self._quiet_until = 0.0

    async def open(self, stack: AsyncExitStack, asked: RangeRequest) -> Source:
        """Ask the present source; what is doubtful about a range or a 304 is asked for anew as a whole.

        Raises:
            Unchanged: The source still has the version that it was asked about.
            Failure: As from the gate.
        """
        source = await self._enter(stack, asked)
        if source.status == 304 and source.etag in {None, asked.known_etag}:
            raise Unchanged
        if source.status == 304 or (source.offset and not _fits(source, asked)):
            await stack.aclose()
            source = await self._enter(stack, RangeRequest())
        return source

    def spread(
        self, source: Source, stack: AsyncExitStack, used: Callable[[int], None]
    ) -> AbstractAsyncContextManager[Peer]:
        """Read an answer, over further connections where that helps."""
        rules = self._settings.ranges
        if self.is_narrow or not can_read_in_parallel(source, rules):
            return nullcontext(source)

        async def part(own: AsyncExitStack, start: int, stop: int | None) -> Source:
            length = None if stop is None else stop - start
            further = source.further
            request = msgspec.structs.replace(further, offset=start, length=length, if_range=source.etag)
            return await own.enter_async_context(self._gate.open(request, self._settings, lambda _hop: None))

        origin = Origin(
            name=self._sources.url.origin, open=part, close_first=stack.aclose, quiet=self._keep_quiet
        )
        return ParallelRangeReader(source, origin, rules, self._connections, used)

    def quiet_seconds(self) -> float:
        """Return how long a source that refused a further connection wants no request from now on."""
        return max(0.0, self._quiet_until - asyncio.get_running_loop().time())

    def _keep_quiet(self, seconds: float) -> None:
        if seconds:
            self.is_narrow = True
            seconds = min(seconds, self._settings.retry.max_retry_after_seconds)
            self._quiet_until = asyncio.get_running_loop().time() + seconds

    async def _enter(self, stack: AsyncExitStack, asked: RangeRequest) -> Source:
        request = self._sources.request(asked.offset, asked.if_range)
        request = msgspec.structs.replace(request, if_none_match=asked.known_etag)
        return await stack.enter_async_context(self._gate.open(request, self._settings, self._on_hop))


def _fits(source: Source, asked: RangeRequest) -> bool:
    """Return whether a range goes on exactly where the bytes ended, in the same version.

    An answer to If-Range may leave Last-Modified out; one with another date
    contradicts itself.
    """
    if source.offset != asked.offset:
        return False
    if asked.declared_bytes is not None and source.declared_bytes != asked.declared_bytes:
        return False
    is_tag = asked.if_range is None or asked.if_range.startswith('"')
    return is_tag or source.last_modified in {None, asked.if_range}
