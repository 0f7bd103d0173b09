"""The loop: read from the peer, ask every guard, hand over to digests and disk."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Protocol, TypeGuard, TypeVar

from fetcher.errors import SourceFailure
from fetcher.guards.base import DividedGuard, EachChunk, Guard
from fetcher.model import BLOCK_BYTES
from fetcher.pipeline.offload import OffloadThread
from fetcher.pipeline.worker_pool import OrderedQueues

R = TypeVar("R")


class Peer(Protocol):
    """A source of bytes: one on the network, an upload, a staged file."""

    async def read(self) -> bytes:
        """Return the next bytes, as many as are there; empty at the honest end.

        Raises:
            Failure: The bytes ended in another way.
        """


class Handover(Exception):
    """The rest of a peer's bytes goes another way; those before are with the lanes, as they came."""


class PeerClock:
    """Counts only the time spent waiting for the peer, so that our own disk is never blamed on it.

    Args:
        now: A monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waited_seconds = 0.0
        self._since: float | None = None

    def __call__(self) -> float:
        """Seconds waited so far."""
        running = 0.0 if self._since is None else self._now() - self._since
        return self._waited_seconds + running

    def start(self) -> None:
        """The wait begins."""
        self._since = self._now()

    def stop(self) -> None:
        """The wait is over."""
        self._waited_seconds = self()
        self._since = None


class Watched:
    """A guard in a stream.

    Args:
        seen_chunks: The first chunks, which it has seen already.

    Attributes:
        divided: The guard, where its work comes in slices.
        times: Who counts the time that it takes.
    """

    __slots__ = ("divided", "guard", "name", "seen_chunks", "times")

    def __init__(self, guard: Guard, *, seen_chunks: int = 0) -> None:
        self.guard = guard
        self.seen_chunks = seen_chunks
        self.name = type(guard).__name__
        self.divided = guard if _is_divided(guard) else None
        self.times: GuardTimes | None = None

    def call(self, work: Callable[..., R], *chunk: bytes) -> R:
        """Have the guard work, on a chunk or without one, by the clock; in any thread."""
        if self.times is None:
            return work(*chunk)
        seconds = self.times.clock
        began = seconds()
        try:
            return work(*chunk)
        finally:
            self.times.seconds[self.name] += seconds() - began
            self.times.size[self.name] += len(chunk[0]) if chunk else 0


def _is_divided(guard: Guard) -> TypeGuard[DividedGuard]:
    """Return whether a guard's work comes in slices; asked once for each kind of guard."""
    return _is_divided_kind(type(guard))


@cache
def _is_divided_kind(kind: type[Guard]) -> bool:
    return issubclass(kind, DividedGuard)


class GuardTimes:
    """Seconds spent in guards and bytes shown to them by the guard's name, over all imports here.

    Args:
        clock: A clock that only goes on, in seconds; guards and the pipeline have none of their own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.size: Counter[str] = Counter()

    def timed(self, guards: Sequence[Guard | Watched]) -> list[Guard | Watched]:
        """Return the same guards, each with a clock on it; waiting for a turn is not counted."""
        watched = [guard if isinstance(guard, Watched) else Watched(guard) for guard in guards]
        for one in watched:
            one.times = self
        return list(watched)


async def pull(
    peer: Peer,
    guards: Sequence[Guard | Watched],
    lanes: OrderedQueues,
    clock: PeerClock,
    *,
    piece_bytes: Callable[[], int],
) -> None:
    """Take all bytes of a peer through the guards, then to the lanes, in order.

    A chunk that a guard refuses goes nowhere. What a guard has to do for longer
    than a moment, it does off the event loop, in its turn. Small chunks are joined up to
    about `piece_bytes()` before they are handed over. When this returns, every byte
    has been dealt with and every guard has passed the whole.

    Raises:
        SourceFailure: The peer's bytes broke off; those before are with the
            lanes, so that another peer can go on from there.
        Handover: Likewise, by the peer's own will.
        Failure: What a guard or a lane raised.
    """
    gathered = _Gathered()
    judges = Judges(guards, lanes.worker_pool.offload)
    try:
        while chunk := await _read(peer, clock):
            await judges.feed(chunk)
            gathered.add(chunk)
            if 2 * gathered.size > piece_bytes():  # A copy costs more than pieces of different length.
                await lanes.put(gathered.take_blocks(lanes.handed_bytes))
    except (SourceFailure, Handover):
        await _put_rest(gathered, lanes)
        raise
    await _put_rest(gathered, lanes)
    await judges.finish()
    await lanes.drain()


class Judges:
    """The guards of a stream, in their order; what a divided one leaves to do is done off the event loop."""

    def __init__(self, guards: Sequence[Guard | Watched], offload: OffloadThread) -> None:
        self._watched = [guard if isinstance(guard, Watched) else Watched(guard) for guard in guards]
        self._offload = offload

    async def feed(self, chunk: bytes) -> None:
        """Show the next bytes to each guard; raises what one raises."""
        for one in self._watched:
            if one.seen_chunks:
                one.seen_chunks -= 1
            elif one.divided is None:
                one.call(one.guard.feed, chunk)
            elif not one.call(one.divided.skim, chunk):
                await self._offload.run(partial(one.call, one.divided.go_on))

    async def finish(self) -> None:
        """Have each guard judge the whole that judges more than its chunks; raises what one raises."""
        for one in self._watched:
            if isinstance(one.guard, EachChunk):
                continue
            if one.divided is None:
                one.call(one.guard.finish)
            else:
                await self._offload.run(partial(one.call, partial(_finish, one.guard)))


def _finish(guard: Guard) -> bool:
    guard.finish()
    return True


async def _put_rest(gathered: "_Gathered", lanes: OrderedQueues) -> None:
    if gathered.size:
        await lanes.put(gathered.take())


async def _read(peer: Peer, clock: PeerClock) -> bytes:
    clock.start()
    try:
        return await peer.read()
    finally:
        clock.stop()


class _Gathered:
    """Chunks that are on their way to become one piece."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes | memoryview] = []

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.size += len(chunk)

    def take(self) -> bytes:
        """Return all of it."""
        chunks, self._chunks, self.size = self._chunks, [], 0
        return chunks[0] if len(chunks) == 1 and isinstance(chunks[0], bytes) else b"".join(chunks)

    def take_blocks(self, offset: int) -> bytes:
        """Return all but the begun block at its end, so that pieces fit the blocks of a disk."""
        last = self._chunks[-1]
        begun = (offset + self.size) % BLOCK_BYTES
        if not 0 < begun < len(last):
            return self.take()
        self._chunks[-1] = memoryview(last)[:-begun]
        piece = self.take()
        self.add(bytes(last[-begun:]))
        return piece
