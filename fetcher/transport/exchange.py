"""Calls of another service's API: a request, perhaps with a long body, and a small answer."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from fetcher.errors import BadResponse, SourceTooSlow
from fetcher.settings.guards.pace import Pace
from fetcher.transport import faults
from fetcher.transport.request import SourceRequest, Upload


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whatever it says.

    Args:
        body: Whole.
        retry_after: As it was sent.
    """

    status: int
    body: bytes
    retry_after: str | None = None


async def paced(upload: Upload, limit: asyncio.Timeout, pace: Pace) -> AsyncIterator[bytes]:
    """Yield the pieces of an upload, each with time anew: the receiver may be slow, but not stand still."""
    loop = asyncio.get_running_loop()
    async for piece in upload.open():
        limit.reschedule(loop.time() + pace.idle_seconds)
        yield piece
    limit.reschedule(loop.time() + pace.header_seconds)


def sent_of(
    request: SourceRequest, limit: asyncio.Timeout, pace: Pace
) -> bytes | AsyncIterator[bytes] | None:
    """Return the body of a request as aiohttp takes it."""
    return paced(request.body, limit, pace) if isinstance(request.body, Upload) else request.body


async def read_answer(response: aiohttp.ClientResponse, pace: Pace, max_bytes: int) -> Answer:
    """Read a small answer whole.

    Raises:
        BadResponse: It is longer, or breaks off.
        SourceTooSlow: It does not arrive.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(pace.header_seconds):
            while chunk := await response.content.readany():
                body += chunk
                if len(body) > max_bytes:
                    raise BadResponse(reason=f"its answer is longer than {max_bytes} bytes")
    except TimeoutError as error:
        seconds = pace.header_seconds
        raise SourceTooSlow(reason="its answer does not arrive", limit_seconds=seconds) from error
    except faults.FOREIGN as error:
        raise BadResponse(reason="its answer breaks off") from error
    return Answer(status=response.status, body=bytes(body), retry_after=response.headers.get("Retry-After"))
