"""The stage between what was judged and what is kept: an image goes in, the raw disk in it comes out."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fetcher.convert.streaming import Keep, NotStreamable, Output, Streamable
from fetcher.importer.receive.ahead import FetchingBeside, PiecesAhead
from fetcher.importer.receive.disk_order import DiskOrder
from fetcher.importer.receive.gathering import Gathering
from fetcher.model import FormatVerdict
from fetcher.pipeline import Handover, Judges, OrderedQueues, Peer, PeerClock, WorkerPool
from fetcher.store.protocol import Staged

JOINED_BYTES = 1_048_576  # Small parts are joined up to about this much, so that each wakes nobody.
TURN_BYTES = 8_388_608  # Of scattered parts: then others get the thread.


class Converting:
    """The conversion of one body while it comes in, over as many attempts as it takes.

    Parts of the disk that come in its order, or nearly so, are given out to be judged, digested and
    appended. From the first one on that comes too late for that, all are written at their place, and
    the disk has to be judged and digested from its file.

    Args:
        target: Where the disk is written.
        kept: Takes bytes of the image that no table has named so far.
        algorithms: Of the digests of what comes in.
        begin: Asked for room before the first bytes, which the guards have passed by then.

    Attributes:
        is_scattered: Parts are written at their place.
        kept_bytes: Of the image, which were put aside.
    """

    def __init__(  # noqa: PLR0913 - what it needs of a receiver
        self,
        found: Streamable,
        *,
        target: Staged,
        kept: Staged,
        worker_pool: WorkerPool,
        algorithms: Sequence[str],
        begin: Callable[[], None],
    ) -> None:
        self.found = found
        self.kept = kept
        self.is_scattered = False
        self.kept_bytes = 0
        self._target = target
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self.queues: OrderedQueues = worker_pool.lanes([hasher.update for hasher in self._hashers.values()])
        self._converter = found.start(self._recall)
        self._outputs: Iterator[Output] = iter(())
        self._order = DiskOrder()
        self._in_order: Iterator[bytes | memoryview] = iter(())
        self._is_hungry = True
        self._is_over = self._is_ending = self._is_filled = False
        self._may_scatter = False
        self._gathering = Gathering()
        self._waiting: deque[bytes] = deque()
        self._ahead = PiecesAhead(worker_pool, make=self._next, has_work=self._has_work)
        self._received_bytes = 0
        self._begin = begin

    async def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the image; parts of the disk come when there are enough of them.

        Raises:
            TooManyBytes: The disk would be longer than the import may be.
            StoreFull: There is no room for it.
        """
        if not self._received_bytes:
            self._begin()
        self._received_bytes += len(chunk)
        self._gathering.add(chunk)
        if self._gathering.is_enough:
            await self._take_gathered()

    async def _take_gathered(self) -> None:
        gathered = self._gathering.take()
        if self._hashers and gathered:
            await self.queues.put(gathered)
        if gathered:
            self._waiting.append(gathered)
            self._ahead.go_on()

    @property
    def has_enough(self) -> bool:
        """Return whether the next bytes of the image are there already."""
        return bool(self._waiting)

    async def finish(self, verdict: FormatVerdict | None) -> None:
        """Take the end of the image, and what the format guard found it to be.

        Raises:
            NotStreamable: By its head it was taken for something else.
        """
        found = self.found
        is_same = verdict is not None and verdict.disk_format == found.disk_format
        if verdict is None or not is_same or (verdict.virtual_bytes or 0) < found.virtual_bytes:
            raise NotStreamable("its beginning describes another disk than the whole")
        await self._take_gathered()
        await self.queues.drain()
        self._is_over = True
        self._ahead.go_on()

    async def read(self) -> bytes:
        """Return what comes next in the order of the disk; nothing where more is needed, or parts are late.

        Raises:
            Failure: The image breaks a rule, or the store refuses.
            NotStreamable: It has to be converted from a complete file.
        """
        return await self._ahead.read()

    def scatter(self) -> None:
        """Write parts at their place from now on: all that came out in order is written."""
        self._may_scatter = True
        self._ahead.go_on()

    def _has_work(self) -> bool:
        is_hungry = not self._waiting and self._is_hungry and (self._is_filled or not self._is_over)
        return not is_hungry and self._may_scatter is self.is_scattered

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is left to come out."""
        return self._is_filled and self._is_hungry

    def _next(self) -> bytes:
        """Take what the converter gives, up to a turn's worth; runs in a thread."""
        return self._scatter() if self.is_scattered else self._join()

    def _join(self) -> bytes:
        parts: list[bytes | memoryview] = []
        size = 0
        while size < JOINED_BYTES:
            piece = next(self._in_order, None)
            if piece is not None:
                parts.append(piece)
                size += len(piece)
            elif not self._advance():
                break
        return b"".join(parts)

    def _advance(self) -> bool:
        """Take the converter's next output; return False where nothing in order can come of it."""
        output = self._next_output()
        if output is None:
            if self._is_hungry:
                return False
            self._in_order, self._is_filled = self._order.finish(self.found.virtual_bytes), True
        elif isinstance(output, Keep):
            self._put_aside(output)
        elif self._order.is_late(output.offset):
            self._outputs = _with_first(output, self._outputs)
            self.is_scattered = True
            return False
        else:
            self._in_order = self._order.take(output.offset, output.data)
        return True

    def _next_output(self) -> Output | None:
        """Return the next output; None at the end of the image, or where more has to come."""
        while (output := next(self._outputs, None)) is None:
            if self._waiting:
                self._outputs = self._converter.feed(self._waiting.popleft())
            elif self._is_over and not self._is_ending:
                self._outputs, self._is_ending = self._converter.finish(), True
            else:
                self._is_hungry = not self._is_ending or self._is_filled
                return None
            self._is_hungry = False
        return output

    def _scatter(self) -> bytes:
        """Write parts at their place; nothing comes out."""
        for offset, data in self._order.take_held():
            self._target.write_at(data, offset)
        size = 0
        while size <= TURN_BYTES:
            output = self._next_output()
            if output is None:
                if self._is_ending:
                    self._target.write_at(b"", self.found.virtual_bytes)
                    self._is_filled = self._is_hungry = True
                break
            if isinstance(output, Keep):
                self._put_aside(output)
            else:
                self._target.write_at(bytes(output.data), output.offset)
            size += len(output.data)
        return b""

    def _recall(self, offset: int, length: int) -> bytes:
        return self.kept.read_at(offset, length).ljust(length, b"\0")

    def _put_aside(self, output: Keep) -> None:
        self.kept.write_at(bytes(output.data), output.offset)
        self.kept_bytes += len(output.data)

    def digests(self) -> dict[str, str]:
        """Return the digests of the image as it came."""
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def story(self) -> dict[str, Any]:
        """Return what was done, in JSON's terms."""
        story = {"from": self.found.disk_format, "to": "raw", "way": "one-pass", "why": ""}
        received = {"bytes": self._received_bytes, "digests": self.digests()}
        return {"received": received, "converted": story}

    async def close(self) -> None:
        """Let no thread touch it any more."""
        await self._ahead.close()
        await self.queues.close()


def _with_first(first: Output, rest: Iterator[Output]) -> Iterator[Output]:
    yield first
    yield from rest


class ConvertingPeer:
    """The disk that the image which a peer sends describes.

    Guards of the image see every byte before it is converted; the peer's clock runs only while the peer
    is waited for.

    Args:
        verdict: Tells what the image is, after its guards have seen the whole.
        put_aside: Called with the number of bytes that were put aside since the last call.
    """

    def __init__(  # noqa: PLR0913 - the parts of a conversion meet here
        self,
        converting: Converting,
        peer: Peer,
        judges: Judges,
        clock: PeerClock,
        *,
        verdict: Callable[[], FormatVerdict | None],
        put_aside: Callable[[int], None],
    ) -> None:
        self._converting = converting
        self._peer = peer
        self._judges = judges
        self._clock = clock
        self._verdict = verdict
        self._put_aside = put_aside
        self._reported_bytes = converting.kept_bytes
        self._is_over = False
        self._fetching = FetchingBeside(self._feed)

    async def read(self) -> bytes:
        """Return the next bytes of the disk; nothing at its end.

        Raises:
            SourceFailure: The peer broke off; everything before has come out.
            Handover: The rest does not come in order: `scatter` writes it.
            Failure: A guard refused the image, or it cannot be converted.
        """
        while True:
            if chunk := await self._go_on():
                return chunk
            if self._converting.is_scattered:
                raise Handover
            if not await self._fetching.wait() and self._is_over:
                assert self._converting.is_whole
                return b""

    async def scatter(self) -> None:
        """Write all that is left of the disk at its place.

        Raises:
            Failure: As `read`.
        """
        self._converting.scatter()
        while not self._converting.is_whole:
            await self._go_on()
            await self._fetching.wait()

    async def _go_on(self) -> bytes:
        if not self._is_over and not self._converting.has_enough:
            self._fetching.start()
        chunk = await self._converting.read()
        before, self._reported_bytes = self._reported_bytes, self._converting.kept_bytes
        if self._reported_bytes > before:
            self._put_aside(self._reported_bytes - before)
        return chunk

    async def close(self) -> None:
        """Ask the peer for nothing more."""
        await self._fetching.close()

    async def _feed(self) -> None:
        self._clock.start()
        try:
            chunk = await self._peer.read()
        finally:
            self._clock.stop()
        if chunk:
            await self._judges.feed(chunk)
            await self._converting.feed(chunk)
        else:
            await self._judges.finish()
            await self._converting.finish(self._verdict())
            self._is_over = True
