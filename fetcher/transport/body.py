"""A body of known length straight from its connection: nothing left to parse, one copy."""

import asyncio
from collections import deque
from collections.abc import Callable

from fetcher.transport.dial import Conversation

GATHER_BYTES = 262_144  # A reader is woken for this much ...
GATHER_SECONDS = 0.002  # ... or after this long: waking it for each segment costs more than the bytes do.
# TLS may hand over what it holds all at once: 256 KiB of records in asyncio and uvloop, and the one begun.
SECURE_BYTES = 294_912
BLOCK_BYTES = 4_096  # Chunks that end where a block of the file does need not be cut once more to be written.


class Body(asyncio.BufferedProtocol):
    """Takes the connection over from aiohttp once the head is judged.

    When the head says how long the body is, all that follows is the body. The
    kernel then writes into a buffer, and each chunk is copied out of it once,
    where aiohttp's way takes four copies and four times as many reads. Among
    few sources each gathers in a buffer of its own, so that its reader is woken
    seldom; many share one. What comes after the last byte of the body is never
    read.

    Args:
        conversation: Whose connection it is; still told when it ends.
        scratch: Where the loop reads to among many sources; what is in it lives only within one call.
        first: What of the body aiohttp has read already.
        left_bytes: How much follows.
        room: What may be held here before the source has to wait, in bytes; less, the more sources are open.
    """

    def __init__(
        self,
        conversation: Conversation,
        scratch: memoryview,
        first: bytes,
        left_bytes: int,
        room: Callable[[], int],
    ) -> None:
        self._conversation = conversation
        assert conversation.transport is not None
        self._transport = conversation.transport
        self._scratch = scratch
        self._is_secure = self._transport.get_extra_info("sslcontext") is not None
        self._left_bytes = left_bytes
        self._room = room
        self._chunks = deque([first] if first else [])
        self._held_bytes = len(first)
        self._is_paused = False
        self._is_lost = False
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._own: memoryview | None = None
        self._gathered_bytes = 0
        self._given_bytes = 0
        self._begun_bytes = 0
        self._late: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._patient_until = 0.0

    def begin(self) -> None:
        """Have the connection deliver here."""
        room = self._room()
        if room >= min(len(self._scratch), 4 * GATHER_BYTES if self._is_secure else GATHER_BYTES):
            self._own = memoryview(bytearray(room))
            self._gather_first()
        # A loop chooses how to deliver when reading starts.
        self._transport.pause_reading()
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def _gather_first(self) -> None:
        """Have what aiohttp read begin the first chunk, in place of being one of any length."""
        size = self._held_bytes
        if self._own is not None and size < len(self._own) // 4 and self._chunks:
            self._own[:size] = self._chunks.popleft()
            self._gathered_bytes = size
        else:
            self._given_bytes = size

    @property
    def is_ready(self) -> bool:
        """Whether a read returns without waiting."""
        has_new = bool(self._chunks) or self._gathered_bytes > self._begun_bytes
        return has_new or not self._left_bytes or self._is_lost

    async def readany(self, idle_seconds: float) -> bytes:
        """Wait for the next bytes; empty after the last byte, or where the connection ended before it.

        Raises:
            TimeoutError: Nothing came for so long.
            OSError: The connection broke.
        """
        while not self.is_ready:
            await self._wait(idle_seconds)
        if not self._held_bytes:
            if self._error is not None:
                raise self._error
            return b""
        if not self._chunks:
            self._flush()
        chunk = self._chunks.popleft()
        self._held_bytes -= len(chunk)
        if self._is_paused and self._left_bytes and self._held_bytes < self._room():
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return chunk

    async def _wait(self, idle_seconds: float) -> None:
        """Wait for news; one timer watches many waits, as most of them are short."""
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        self._patient_until = loop.time() + idle_seconds
        if self._watch is None:
            self._watch = loop.call_at(self._patient_until, self._check_patience)
        await self._news

    def _check_patience(self) -> None:
        self._watch = None
        if self._news is None or self._news.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._patient_until:
            self._watch = loop.call_at(self._patient_until, self._check_patience)
        else:
            self._news.set_exception(TimeoutError())

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's guess
        """Lend a buffer for one read, and never more of it than the body has left.

        TLS gets as much as it can hold: when the source hangs up, asyncio asks
        once more and throws the rest away.
        """
        room = self._room()
        most = min(self._left_bytes, len(self._scratch) if self._is_secure else room)
        if self._own is not None:
            if len(self._own) - self._gathered_bytes < (SECURE_BYTES if self._is_secure else 1):
                self._flush()
            if self._gathered_bytes or len(self._own) <= 4 * room:
                return self._own[self._gathered_bytes :][:most]
            self._own = None  # There are many sources by now.
        return self._scratch[:most]

    def buffer_updated(self, nbytes: int) -> None:
        """Count what was read, and have the source wait when enough is held."""
        if self._own is None:
            self._chunks.append(bytes(self._scratch[:nbytes]))
        else:
            self._gathered_bytes += nbytes
        self._held_bytes += nbytes
        self._left_bytes -= nbytes
        if self._held_bytes >= self._room() or not self._left_bytes:
            self._is_paused = True
            self._transport.pause_reading()
        if self._own is None or self._is_paused or self._held_bytes >= GATHER_BYTES:
            self._tell()
        elif self._late is None and self._news is not None:
            self._late = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._tell)

    def _flush(self) -> None:
        """Copy what was gathered, so that its buffer can be written again; a begun block stays in it."""
        own, size = self._own, self._gathered_bytes
        if own is None or not size:
            return
        rest = (self._given_bytes + size) % BLOCK_BYTES if self._left_bytes and size > 4 * BLOCK_BYTES else 0
        self._chunks.append(bytes(own[: size - rest]))
        self._given_bytes += size - rest
        own[:rest] = bytes(own[size - rest : size])
        self._gathered_bytes = self._begun_bytes = rest

    def eof_received(self) -> None:
        """Note that the source has said its last; the connection then closes."""
        self._is_lost = True
        self._conversation.eof_received()
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection ended; whether too early is told by the count."""
        self._is_lost = True
        self._error = exc
        self._conversation.connection_lost(exc)
        self._tell()
        if self._watch is not None:
            self._watch.cancel()

    def pause_writing(self) -> None:
        """Pass it on: the request may still be on its way."""
        self._conversation.pause_writing()

    def resume_writing(self) -> None:
        """Likewise."""
        self._conversation.resume_writing()

    def _tell(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            late.cancel()
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
