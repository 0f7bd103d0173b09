"""Answers whose body is a blob's bytes: a file that the server sends without a copy, or a stream."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import FileIO

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from fetcher.errors import BytesDamaged, Failure

log = structlog.get_logger(__name__)

# The message and the name of the extension. Source: ASGI specification, "Zero Copy Send".
# Here `offset` and `count` are always given, and the part is the whole body.
SENDS_FILES = "http.response.zerocopysend"
# Ours, likewise: what was begun cannot be finished, and the client sees that by its connection.
BREAKS_OFF = "fetcher.response.breaks_off"


def sends_files(request: Request) -> bool:
    """Return whether the server of a request sends files by itself."""
    return SENDS_FILES in request.scope.get("extensions", {})


class FileResponse(Response):
    """A part of an open file; the file is closed with the answer.

    Args:
        file: Read by the server alone; where it stands does not matter.
        offset: The first byte.
        count: How many; the headers say the same as Content-Length.
    """

    def __init__(
        self, file: FileIO, offset: int, count: int, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=status_code, headers=headers)
        self._file = file
        self._offset = offset
        self._count = count

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the head and name the part."""
        with self._file:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async with _broken_off(scope, send):
                await send(
                    {"type": SENDS_FILES, "file": self._file, "offset": self._offset, "count": self._count}
                )


class BytesResponse(StreamingResponse):
    """Chunks of known length in all.

    Args:
        chunks: Read until the client is gone or has everything.
        count: How many bytes; the headers say the same as Content-Length.
    """

    def __init__(
        self, chunks: AsyncIterator[bytes], count: int, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(chunks, status_code, headers)
        self._count = count
        self._scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and the chunks, until the client leaves."""
        self._scope = scope
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send the head and the chunks."""
        async with _broken_off(self._scope, send):
            await super().stream_response(self._whole(send))

    def _whole(self, send: Send) -> Send:
        left = self._count

        async def checked(message: Message) -> None:
            nonlocal left
            left -= len(message.get("body", b""))
            if left and message["type"] == "http.response.body" and not message.get("more_body"):
                raise BytesDamaged(fault="corrupt")
            await send(message)

        return checked


@asynccontextmanager
async def _broken_off(scope: Scope, send: Send) -> AsyncGenerator[None, None]:
    """Break the connection off where a failure comes after the head: too late for an answer that says why."""
    try:
        yield
    except Failure as failure:
        if BREAKS_OFF not in scope.get("extensions", {}):
            raise
        log.warning("answer.broken_off", path=scope["path"], code=failure.code, detail=str(failure))
        await send({"type": BREAKS_OFF})
