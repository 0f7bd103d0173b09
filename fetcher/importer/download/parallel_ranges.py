"""One body over several connections: the first one is relieved where that helps, and never given up."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

import structlog

from fetcher.errors import BadResponse, Failure, SourceTooSlow
from fetcher.importer.download.chain import Chain, Range
from fetcher.importer.download.offer import Offer
from fetcher.importer.download.stretch import Stretch
from fetcher.importer.records.verdicts import truth_of
from fetcher.importer.schedule.connections import Connections
from fetcher.settings.imports import Ranges
from fetcher.transport import Source, is_strong

log = structlog.get_logger()


@dataclass(kw_only=True)
class Origin:
    """The target of further connections: the very place that the first answer came from.

    Args:
        name: What the limit for one origin counts by.
        open: Asks for bytes from an offset on, up to another or to the end, bound to the version of
            the first answer.
        close_first: Ends the first connection.
        quiet: Called with the seconds for which the source wants no request.
    """

    name: str
    open: Callable[[AsyncExitStack, int, int | None], Awaitable[Source]]
    close_first: Callable[[], Awaitable[None]]
    quiet: Callable[[float], None]


def can_read_in_parallel(source: Source, rules: Ranges) -> bool:
    """Return whether the rest of a body may come over several connections."""
    if not source.accepts_ranges or not is_strong(source.etag) or source.declared_bytes is None:
        return False
    return rules.connections > 1 and source.declared_bytes - source.offset >= rules.min_bytes


class ParallelRangeReader:
    """Reads a body in order, over more connections where each of them brings more.

    Further connections are an offer to the source. One that is refused, fails
    or is slow costs the bytes that it brought, and those before it read on.

    Args:
        first: The answer with the whole body, or with all from its offset on, as `can_read_in_parallel`.
        used: Called with the number of open connections, whenever there are more than before.
    """

    def __init__(
        self,
        first: Source,
        origin: Origin,
        rules: Ranges,
        connections: Connections,
        used: Callable[[int], None],
    ) -> None:
        self._first = first
        self._origin = origin
        self._rules = rules
        self._connections = connections
        self._used = used
        self._position = first.offset
        self._chain = Chain(first.declared_bytes or 0, rules.segment_bytes)
        self._offer = Offer(rules, asyncio.get_running_loop().time)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_opening = False
        self._extras = 0
        self._most = 1
        self._late = 0
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin with the first connection alone."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End every connection and give all memory back."""
        self._offer.is_withdrawn = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stretch in self._chain:
            self._connections.unbuffer(stretch.held_bytes)
        self._give_back(0)

    async def read(self) -> bytes:
        """Return the next bytes in order; empty at the honest end.

        Raises:
            Failure: No connection brings the next bytes.
        """
        if self._chain:
            return await self._read_stretch()
        chunk = await self._first.read()
        if chunk and self._is_slow(len(chunk)):
            self._spread(chunk)
            return await self._read_stretch()
        self._position += len(chunk)
        return chunk

    def _is_slow(self, size: int) -> bool:
        seconds, rules = self._first.waited_seconds, self._rules
        left = self._chain.end - self._position - size
        if seconds < rules.patience_seconds or left < 2 * rules.segment_bytes:
            return False
        return self._first.received_bytes < seconds * rules.enough_bytes_per_second

    def _spread(self, chunk: bytes) -> None:
        """Read the first connection in the background from here on, and offer a second."""
        stretch = self._stretch(self._first, self._origin.close_first)
        stretch.start = stretch.position = self._position
        self._chain.begin(stretch)
        self._offer.begin(stretch.bytes_per_second())
        self._run(stretch, chunk)

    async def _read_stretch(self) -> bytes:
        while True:
            self._settle()
            head = self._chain.head
            if head.has_waiting:
                chunk = head.take()
                self._position += len(chunk)
                return chunk
            if not self._is_opening:
                head.check()
            if head.is_over and head.position == self._chain.end:
                return b""
            self._news.clear()
            await self._news.wait()

    def _settle(self) -> None:
        """Give back what is free, note what has failed, and use what the source still takes."""
        for stretch in self._chain.take_done():
            self._connections.unbuffer(stretch.held_bytes)
        head = self._chain.head
        if head.held_bytes and not head.has_waiting:
            self._connections.unbuffer(head.held_bytes)
            head.held_bytes = 0
        for stretch in self._chain:
            if stretch.failure is not None and stretch is not head and not stretch.is_noted:
                stretch.is_noted = True
                self._refuse(stretch.start, stretch.failure)
        if not self._is_opening:
            self._give_back(max(self._chain.live - 1, 0))
            self._offer.measure(self._chain.total_bytes)
            self._ask()

    def _ask(self) -> None:
        """Open one more connection, where the source takes it and there is a place and memory for it."""
        live = self._chain.live
        if not self._offer.may_ask(live):
            return
        wanted = self._chain.next_range(self._offer.limit, self._chain.part_bytes(self._offer.limit))
        if wanted is not None and not self._connections.buffer(wanted.held_bytes):
            wanted = self._chain.next_range(self._offer.limit, self._rules.segment_bytes)
            if wanted is None or not self._connections.buffer(wanted.held_bytes):
                return
        if wanted is None:
            return
        if self._extras < live:
            if not self._connections.take(self._origin.name):
                self._connections.unbuffer(wanted.held_bytes)
                return
            self._extras += 1
        if wanted.failed is not None:
            wanted.failed.repairs += 1
        self._is_opening = True
        self._tasks.add(asyncio.create_task(self._open(wanted)))

    async def _open(self, wanted: Range) -> None:
        stack = AsyncExitStack()
        is_joined = False
        try:
            source = await self._origin.open(stack, wanted.start, wanted.stop)
            if source.status != 206 or source.declared_bytes != self._chain.end:
                raise BadResponse(reason="a further connection got another answer than the range asked for")
            is_joined = self._join(source, stack, wanted)
        except Failure as failure:
            self._refuse(wanted.start, failure)
        finally:
            if not is_joined:
                await stack.aclose()
                self._connections.unbuffer(wanted.held_bytes)
            self._is_opening = False
            self._news.set()

    def _join(self, source: Source, stack: AsyncExitStack, wanted: Range) -> bool:
        stretch = self._stretch(source, stack.aclose, wanted)
        if not self._chain.add(stretch, wanted):
            self._late += 1  # The source is too fast for what a further connection could bring.
            self._offer.is_withdrawn = self._late > 1
            return False
        self._run(stretch)
        live = self._chain.live
        if live > self._most:
            self._most = live
            self._offer.mark(live, self._chain.total_bytes)
            self._used(live)
        return True

    def _stretch(
        self, source: Source, close: Callable[[], Awaitable[None]], wanted: Range | None = None
    ) -> Stretch:
        stop = self._chain.end if wanted is None or wanted.stop is None else wanted.stop
        return Stretch(
            source,
            stop=stop,
            leads_to_end=wanted is None or wanted.stop is None,
            held_bytes=wanted.held_bytes if wanted else 0,
            close=close,
            met=self._meet,
            changed=self._news.set,
        )

    def _run(self, stretch: Stretch, chunk: bytes = b"") -> None:
        stretch.task = asyncio.create_task(stretch.run(chunk))
        self._tasks.add(stretch.task)

    def _meet(self, stretch: Stretch) -> bool:
        """Return whether a connection that has reached the next one's stretch is relieved by it."""
        dropped = self._chain.meet(stretch)
        for one in dropped:
            slow = SourceTooSlow(reason="it is slower than the connection before it", limit_seconds=0.0)
            if not one.is_noted:
                self._refuse(one.start, one.failure or slow)
            self._connections.unbuffer(one.held_bytes)
            if one.task is not None:
                one.task.cancel()
        return not dropped

    def _refuse(self, start: int, failure: Failure) -> None:
        log.info("part.failed", origin=self._origin.name, start=start, **truth_of(failure))
        self._offer.refused(failure, self._chain.live)
        self._origin.quiet(self._offer.quiet_seconds())

    def _give_back(self, count: int) -> None:
        """Give back the places beyond so many."""
        while self._extras > count:
            self._extras -= 1
            self._connections.give_back(self._origin.name)
