"""One connection's stretch of a body: read in order, held until its turn, relieved by the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from fetcher.errors import BadResponse, Failure, Truncated
from fetcher.transport import Source

HEAD_BYTES = 1_048_576  # Held of the stretch whose turn it is: the reader is only ever a moment behind.


class Stretch:
    """The part of a body that one connection reads.

    Args:
        source: The answer that the bytes come with.
        stop: Before this byte.
        leads_to_end: The request had no end: reading can go on behind `stop`, to the end of the body.
        held_bytes: The memory that was set aside for bytes before their turn; 0 where it is their turn.
        close: Ends the connection.
        met: Asked when the next stretch is reached; True ends this one there, False has it go on.
        changed: Called at every change.
    """

    def __init__(  # noqa: PLR0913 - one connection, and all it has to ask
        self,
        source: Source,
        *,
        stop: int,
        leads_to_end: bool,
        held_bytes: int,
        close: Callable[[], Awaitable[None]],
        met: Callable[["Stretch"], bool],
        changed: Callable[[], None],
    ) -> None:
        self.source = source
        self.start = self.position = source.offset
        self.stop = stop
        self.leads_to_end = leads_to_end
        self.held_bytes = held_bytes
        self.is_over = False
        self.is_noted = False
        self.repairs = 0
        self.failure: Failure | None = None
        self.task: asyncio.Task[None] | None = None
        self._end = source.declared_bytes or 0
        self._close = close
        self._met = met
        self._changed = changed
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._room = asyncio.Event()

    @property
    def is_live(self) -> bool:
        """Return whether the connection still reads."""
        return not self.is_over and self.failure is None

    @property
    def got_bytes(self) -> int:
        """Return what has come of it."""
        return self.position - self.start

    @property
    def has_waiting(self) -> bool:
        """Return whether bytes are ready to be taken."""
        return bool(self._chunks)

    def bytes_per_second(self) -> float:
        """Return how fast the source is on this connection, while it is waited for."""
        return self.source.received_bytes / max(self.source.waited_seconds, 0.001)

    def take(self) -> bytes:
        """Take the next bytes that are ready."""
        chunk = self._chunks.popleft()
        self._waiting_bytes -= len(chunk)
        self._room.set()
        return chunk

    def check(self) -> None:
        """Raise what has ended the connection too early, if anything has.

        Raises:
            Failure: The source's.
        """
        if self.failure is not None:
            raise self.failure
        if self.task is not None and self.task.done() and not self.is_over:
            self.task.result()  # A fault of ours.

    async def run(self, chunk: bytes) -> None:
        """Read to the stop, after what was read already; `failure` says how it ended otherwise."""
        try:
            await self._read(chunk)
            self.is_over = True
        except Failure as failure:
            self.failure = failure
        finally:
            await self._close()
            self._changed()

    async def _read(self, chunk: bytes) -> None:
        while True:
            if self._add(chunk):
                break
            while self._waiting_bytes >= (self.held_bytes or HEAD_BYTES):
                self._room.clear()
                await self._room.wait()
            chunk = await self.source.read()
            if not chunk:
                raise Truncated(received_bytes=self.position, declared_bytes=self._end)
        is_whole = self.position == self._end or not self.leads_to_end
        if is_whole and await self.source.read():
            raise BadResponse(reason="it sent more than it said")

    def _add(self, chunk: bytes) -> bool:
        """Take bytes in; True where the next stretch has begun or the body has ended."""
        while chunk:
            piece, chunk = chunk[: self.stop - self.position], chunk[self.stop - self.position :]
            if piece:
                self._chunks.append(piece)
                self._waiting_bytes += len(piece)
                self.position += len(piece)
                self._changed()
            if self.position == self.stop and self._is_done():
                return True
        return False

    def _is_done(self) -> bool:
        return not self.leads_to_end or self.stop == self._end or self._met(self)
