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
SIZE_HEADER = "X-OpenStack-Image-Size"
UPLOAD = "fetcher.upload"  # In the scope of a request whose body is an image.
UNREAD = "fetcher.unread"  # In the scope of a request whose body was not read to its end.


class RequestBody:
    """The bytes that a client sends, as they come.

    Args:
        request: Nothing of its body has been read.

    Raises:
        InvalidRequest: A length is no number, or Content-Length and X-OpenStack-Image-Size differ.
    """

    def __init__(self, request: Request, settings: Settings) -> None:
        self._request = request
        request.scope[UPLOAD] = True
        self._idle_seconds = settings.pace.idle_seconds
        self._received_bytes = 0
        self._has_ended = False
        self._is_forgotten = False  # What still comes is read for the client's sake only.
        self.declared_bytes = declared_bytes(request)

    async def read(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            SourceTooSlow: The client is silent.
            Truncated: The client went away, or sent fewer bytes than it had declared.
            InvalidRequest: The client sent more bytes than it had declared.
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
        self._check_length()
        return chunk

    def _check_length(self) -> None:
        """Hold what came against what was declared; only a chunked body can differ from it."""
        declared = self.declared_bytes
        if declared is None or self._is_forgotten:
            return
        if self._received_bytes > declared:
            reason = f"the body is longer than the {declared} bytes that {SIZE_HEADER} declares"
            raise InvalidRequest(field=SIZE_HEADER, reason=reason)
        if self._has_ended and self._received_bytes < declared:
            raise Truncated(received_bytes=self._received_bytes, declared_bytes=declared)

    async def linger(self, seconds: float = LINGER_SECONDS) -> None:
        """Take in and forget some more, so that a client that is still sending gets to read the answer.

        A connection that is closed on unread bytes is reset, and with it goes the answer; one that is
        not closed takes in all that a client cares to send.
        """
        self._request.scope[UNREAD] = True
        self._is_forgotten = True
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
        """Return whether the client sends nothing before we have said that it may."""
        return self._request.headers.get("expect", "").lower() == "100-continue"


def declared_bytes(request: Request) -> int | None:
    """Return how long the body is, if the client says so: by Content-Length or by X-OpenStack-Image-Size.

    openstackclient sends an image size of 0 with every upload, so 0 declares nothing.

    Raises:
        InvalidRequest: A length is no number, or the two differ.
    """
    chunked = "transfer-encoding" in request.headers
    length = None if chunked else _length(request, "Content-Length")
    size = _length(request, SIZE_HEADER) or None
    if None not in {length, size} and length != size:
        reason = f"{SIZE_HEADER} declares {size} bytes, Content-Length {length}"
        raise InvalidRequest(field=SIZE_HEADER, reason=reason)
    return size if length is None else length


def _length(request: Request, name: str) -> int | None:
    text = request.headers.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest(field=name, reason=f"{name} is not a number of bytes")
    return int(text)
