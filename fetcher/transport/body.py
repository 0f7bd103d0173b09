"""A body of known length straight from its connection: nothing left to parse, one copy."""

import asyncio
from collections.abc import Callable

from fetcher.transport.dialling.dial import SourceConnection
from fetcher.transport.dialling.receive_buffer import PAUSE_SECONDS, ReceiveBuffer, ReceivePool

GATHER_BYTES = 262_144  # The reader of a fast source is woken for this much ...
GATHER_SECONDS = 0.002  # ... or after this long: waking it for each segment costs more than the bytes do.


class Body(asyncio.BufferedProtocol):
    """Takes the connection over from aiohttp once the head is judged.

    When the head says how long the body is, all that follows is the body. The
    kernel then writes into a buffer, and each chunk is copied out of it once,
    where aiohttp's way takes four copies and four times as many reads. What
    comes after the last byte of the body is never read.

    Args:
        connection: The protocol of the connection; still called when the connection ends.
        shared: What all bodies share.
        first: What of the body aiohttp has read already.
        left_bytes: How much follows.
        room: What may be held here before the source has to wait, in bytes; less, the more is held elsewhere.
    """

    def __init__(
        self,
        connection: SourceConnection,
        shared: ReceivePool,
        first: bytes,
        left_bytes: int,
        room: Callable[[], int],
    ) -> None:
        self._connection = connection
        assert connection.transport is not None
        self._transport = connection.transport
        self._loop = asyncio.get_running_loop()
        is_secure = self._transport.get_extra_info("sslcontext") is not None
        self._held = ReceiveBuffer(shared, is_secure=is_secure, now=self._loop.time)
        if first:
            self._held.add(first)
        self._left_bytes = left_bytes
        self._room = room
        self._is_paused = False
        self._is_lost = False
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._late: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._idle_until = 0.0

    def begin(self) -> None:
        """Have the connection deliver here."""
        # A loop chooses how to deliver when reading starts.
        self._transport.pause_reading()
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def close(self) -> None:
        """Hold nothing any more: the reader is done with it."""
        self._held.close()
        self._forget_timers()

    @property
    def held_bytes(self) -> int:
        """Return what has come and was not read yet."""
        return self._held.size

    @property
    def is_ready(self) -> bool:
        """Return whether a read returns without waiting."""
        return self._held.has_new or not self._left_bytes or self._is_lost

    async def readany(self, idle_seconds: float) -> bytes:
        """Wait for the next bytes; empty after the last byte, or where the connection ended before it.

        Raises:
            TimeoutError: Nothing came for so long.
            OSError: The connection broke.
        """
        while not self.is_ready:
            await self._wait(idle_seconds)
        chunk = self._held.take(is_aligned=self._left_bytes > 0 and not self._is_lost)
        if not chunk and self._error is not None:
            raise self._error
        if self._is_paused and self._left_bytes and self._held.size < self._room():
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return chunk

    async def _wait(self, idle_seconds: float) -> None:
        """Wait for news; one timer watches many waits, as most of them are short."""
        self._news = self._loop.create_future()
        self._idle_until = self._loop.time() + idle_seconds
        if self._watch is None:
            self._watch = self._loop.call_at(self._idle_until, self._check_idle)
        if self._held.has_own:
            self._pause = self._loop.call_later(PAUSE_SECONDS, self._settle)
        await self._news

    def _check_idle(self) -> None:
        self._watch = None
        if self._news is None or self._news.done():
            return
        if self._loop.time() < self._idle_until:
            self._watch = self._loop.call_at(self._idle_until, self._check_idle)
        else:
            self._news.set_exception(TimeoutError())

    def _settle(self) -> None:
        """The source pauses: what is left of a begun block is given out too, and its buffer back."""
        self._held.settle()
        if self._held.has_new:
            self._wake_reader()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's guess
        """Lend a buffer for one read."""
        return self._held.lend(self._left_bytes, self._room())

    def buffer_updated(self, nbytes: int) -> None:
        """Count what was read, and have the source wait when enough is held."""
        self._held.took(nbytes)
        self._left_bytes -= nbytes
        if self._held.size >= self._room() or not self._left_bytes:
            self._is_paused = True
            self._transport.pause_reading()
        if self._is_paused or not self._held.has_own or self._held.size >= GATHER_BYTES:
            self._wake_reader()
        elif self._late is None and self._news is not None:
            self._late = self._loop.call_later(GATHER_SECONDS, self._wake_reader)

    def eof_received(self) -> None:
        """Note that the source has said its last; the connection then closes."""
        self._is_lost = True
        self._connection.eof_received()
        self._wake_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection ended; the count shows whether too early."""
        self._is_lost = True
        self._error = exc
        self._connection.connection_lost(exc)
        self._wake_reader()
        self._forget_timers()

    def pause_writing(self) -> None:
        """Pass it on: the request may still be on its way."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Likewise."""
        self._connection.resume_writing()

    def _wake_reader(self) -> None:
        for timer in (self._late, self._pause):
            if timer is not None:
                timer.cancel()
        self._late = self._pause = None
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    def _forget_timers(self) -> None:
        for timer in (self._late, self._pause, self._watch):
            if timer is not None:
                timer.cancel()
        self._late = self._pause = self._watch = None
