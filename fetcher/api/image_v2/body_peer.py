"""A request's body as a peer of the pipeline."""

import asyncio
from contextlib import suppress

from starlette.requests import Request
from starlette.types import Message

from fetcher.config import Settings
from fetcher.errors import InvalidRequest, SourceTooSlow, Truncated

LINGER_SECONDS = 5.0
LINGER_IDLE_SECONDS = 1.0  # Who sends nothing for so long has stopped, and reads.
LINGER_BYTES = 67_108_864
UNREAD = "fetcher.unread"  # In the scope of a request whose body was not read to its end.


class RequestBody:
    """The bytes that a client sends, as they come.

    Args:
        request: Nothing of its body has been read.

    Raises:
        InvalidRequest: Content-Length is no number.
    """

    def __init__(self, request: Request, settings: Settings) -> None:
        self._request = request
        self._idle_seconds = settings.pace.idle_seconds
        self._received_bytes = 0
        self._has_ended = False
        self.declared_bytes = declared_bytes(request)

    async def read(self) -> bytes:
        """The next bytes; empty at the end.

        Raises:
            SourceTooSlow: The client is silent.
            Truncated: The client went away.
        """
        chunk = b""
        while not chunk and not self._has_ended:
            chunk = self._take(await self._receive())
        return chunk

    async def _receive(self) -> Message:
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await self._request.receive()
        except TimeoutError as error:
            seconds = self._idle_seconds
            raise SourceTooSlow(reason=f"silent for {seconds:g} seconds", limit_seconds=seconds) from error

    def _take(self, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            self._has_ended = True
            declared = "an unknown number of" if self.declared_bytes is None else self.declared_bytes
            raise Truncated(received_bytes=self._received_bytes, declared_bytes=declared)
        self._has_ended = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        self._received_bytes += len(chunk)
        return chunk

    async def linger(self, seconds: float = LINGER_SECONDS) -> None:
        """Take in and forget some more, so that a client that is still sending gets to read the answer.

        A connection that is closed on unread bytes is reset, and with it goes the answer; one that is
        not closed takes in all that a client cares to send.
        """
        self._request.scope[UNREAD] = True
        if self._received_bytes == 0 and self._waits_for_us():
            return
        most = self._received_bytes + LINGER_BYTES
        self._idle_seconds = min(self._idle_seconds, LINGER_IDLE_SECONDS)
        with suppress(TimeoutError, Truncated, SourceTooSlow):
            async with asyncio.timeout(seconds):
                while not self._has_ended and self._received_bytes < most:
                    await self.read()
        self._request.scope[UNREAD] = not self._has_ended

    def _waits_for_us(self) -> bool:
        """Whether the client sends nothing before we have said that it may."""
        return self._request.headers.get("expect", "").lower() == "100-continue"


def declared_bytes(request: Request) -> int | None:
    """How long the body is, if the client says so; a chunked one does not.

    Raises:
        InvalidRequest: Content-Length is no number.
    """
    text = request.headers.get("content-length")
    if text is None or "transfer-encoding" in request.headers:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest(field="Content-Length", reason="Content-Length is no number of bytes")
    return int(text)
