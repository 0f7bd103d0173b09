"""One body over several connections: parts are fetched side by side and read in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Self

import structlog

from fetcher.config import Ranges
from fetcher.errors import BadResponse, Failure, SourceStatus, Truncated
from fetcher.importer.records.verdicts import truth_of
from fetcher.importer.schedule.connections import Connections
from fetcher.transport import Source, is_strong

log = structlog.get_logger()


@dataclass(kw_only=True)
class Origin:
    """Where parts are asked for.

    Args:
        name: What the limit for one origin counts by.
        open: Asks for so many bytes from an offset, bound to the version of the first answer.
        close_first: Ends the first connection.
    """

    name: str
    open: Callable[[int, int], AbstractAsyncContextManager[Source]]
    close_first: Callable[[], Awaitable[None]]


@dataclass(kw_only=True, eq=False)
class _Part:
    """Bytes from `start` up to `end`, as far as they have come."""

    start: int
    end: int
    held_bytes: int = 0
    got_bytes: int = 0
    is_running: bool = False
    is_done: bool = False
    chunks: deque[bytes] = field(default_factory=deque)

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.got_bytes += len(chunk)


def can_read_in_parallel(source: Source, rules: Ranges) -> bool:
    """Whether the rest of a body may come over several connections."""
    if not source.accepts_ranges or not is_strong(source.etag) or source.declared_bytes is None:
        return False
    return rules.connections > 1 and source.declared_bytes - source.offset >= rules.min_bytes


class ParallelRangeReader:
    """Reads a body in order, over more connections when one alone is slow.

    The first connection goes on alone until it has shown what it can. Then
    parts of a window ahead are fetched side by side; a connection that fails
    leaves its part to the others, and the last one's failure is the whole's.

    Args:
        first: The answer with the whole body, or with all from its offset on.
        used: Told how many connections are open, whenever there are more than before.
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
        self._is_able = can_read_in_parallel(first, rules)
        self._position = first.offset
        self._end = first.declared_bytes or 0
        self._parts: deque[_Part] = deque()
        self._next_start = -1
        self._limit = rules.connections
        self._is_own_free = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._failure: Failure = Truncated(received_bytes=0)

    async def __aenter__(self) -> Self:
        """Begin with the first connection alone."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End every connection and give all memory back."""
        self._limit = 0
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in self._parts:
            self._connections.unbuffer(part.held_bytes)

    async def read(self) -> bytes:
        """The next bytes in order; empty at the honest end.

        Raises:
            Failure: No connection brings the next bytes.
        """
        if self._next_start >= 0:
            return await self._read_part()
        chunk = await self._first.read()
        self._position += len(chunk)
        if chunk and self._is_able and self._is_slow():
            self._spread()
        return chunk

    def _is_slow(self) -> bool:
        seconds, rules = self._first.waited_seconds, self._rules
        if seconds < rules.patience_seconds or self._end - self._position < 2 * rules.segment_bytes:
            return False
        return self._first.received_bytes < seconds * rules.enough_bytes_per_second

    def _spread(self) -> None:
        end = min(self._position + self._rules.segment_bytes, self._end)
        part = _Part(start=self._position, end=end)
        self._parts.append(part)
        self._next_start = end
        self._start(part, self._read_first(part), is_extra=False)
        self._fill()

    async def _read_part(self) -> bytes:
        while self._position < self._end:
            head = self._parts[0] if self._parts else None
            if head is not None and head.chunks:
                chunk = head.chunks.popleft()
                self._position += len(chunk)
                return chunk
            if head is not None and head.is_done:
                self._parts.popleft()
                self._connections.unbuffer(head.held_bytes)
            self._fill()
            if not self._tasks and not (self._parts and self._parts[0].is_done):
                raise self._failure
            if self._parts and (self._parts[0].chunks or self._parts[0].is_done):
                continue
            self._news.clear()
            await self._news.wait()
        return b""

    def _fill(self) -> None:
        """Fetch as many parts of the window as there are connections and memory for."""
        while len(self._tasks) < self._limit and (part := self._next_part()) is not None:
            is_extra = not self._is_own_free
            if is_extra and not self._connections.take(self._origin.name):
                return
            self._start(part, self._fetch(part), is_extra=is_extra)

    def _next_part(self) -> _Part | None:
        """The first part that nobody fetches; the head of the window needs no memory set aside."""
        waiting = next((part for part in self._parts if not part.is_running and not part.is_done), None)
        if waiting is not None:
            return waiting
        if self._next_start >= self._end or len(self._parts) >= 2 * self._rules.connections:
            return None
        if not self._is_own_free and len(self._tasks) >= self._limit:
            return None
        end = min(self._next_start + self._rules.segment_bytes, self._end)
        size = end - self._next_start
        is_held = self._connections.buffer(size)
        if not is_held and self._parts:
            return None
        part = _Part(start=self._next_start, end=end, held_bytes=size if is_held else 0)
        self._parts.append(part)
        self._next_start = end
        return part

    def _start(self, part: _Part, work: Awaitable[None], *, is_extra: bool) -> None:
        part.is_running = True
        if not is_extra:
            self._is_own_free = False
        task = asyncio.ensure_future(self._carry(part, work, is_extra=is_extra))
        self._tasks.add(task)
        self._used(len(self._tasks))

    async def _carry(self, part: _Part, work: Awaitable[None], *, is_extra: bool) -> None:
        try:
            await work
        except Failure as failure:
            self._give_up(part, failure)
        finally:
            part.is_running, part.is_done = False, True
            task = asyncio.current_task()
            assert task is not None
            self._tasks.discard(task)
            if is_extra:
                self._connections.give_back(self._origin.name)
            else:
                self._is_own_free = True
            self._fill()
            self._news.set()

    def _give_up(self, part: _Part, failure: Failure) -> None:
        """Leave what is missing of a part to the others, of whom there are now fewer."""
        log.info("part.failed", origin=self._origin.name, start=part.start, **truth_of(failure))
        self._limit = 0 if isinstance(failure, BadResponse) else self._limit - 1
        self._failure = failure
        if isinstance(failure, SourceStatus):
            # Perhaps it bears fewer connections: the next attempt, over one, is told what it means.
            self._failure = Truncated(received_bytes=self._position, declared_bytes=self._end)
        rest = _Part(start=part.start + part.got_bytes, end=part.end)
        part.end = rest.start
        self._parts.insert(self._parts.index(part) + 1, rest)

    async def _read_first(self, part: _Part) -> None:
        missing = part.end - part.start
        while missing:
            chunk = await self._first.read()
            if not chunk:
                raise Truncated(received_bytes=part.start + part.got_bytes, declared_bytes=self._end)
            part.add(chunk[:missing])
            missing = part.end - part.start - part.got_bytes
            self._news.set()
        await self._origin.close_first()

    async def _fetch(self, part: _Part) -> None:
        size = part.end - part.start
        async with self._origin.open(part.start, size) as source:
            if source.status != 206 or source.declared_bytes != self._end:
                raise BadResponse(reason="it changed while it was read over several connections")
            while chunk := await source.read():
                part.add(chunk)
                self._news.set()
                if part.got_bytes > size:
                    raise BadResponse(reason="it sent more than the range asked for")
        if part.got_bytes != size:
            raise Truncated(received_bytes=part.start + part.got_bytes, declared_bytes=self._end)
