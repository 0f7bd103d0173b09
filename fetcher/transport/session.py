"""One session of aiohttp for one request, and what is sent over it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp

from fetcher.guards.network.response import MAX_HEAD_CHARACTERS
from fetcher.transport.dialling.dial import Handover, SourceConnection
from fetcher.transport.request import Outgoing


class Sent:
    """The count of a body's bytes that were handed to the connection."""

    def __init__(self) -> None:
        self.count = 0


async def paced(outgoing: Outgoing, limit: asyncio.Timeout, sent: Sent) -> AsyncIterator[bytes]:
    """Read what goes out; each chunk that is asked for is progress, and gives the receiver time anew."""
    loop = asyncio.get_running_loop()
    async for chunk in outgoing.chunks():
        sent.count += len(chunk)
        yield chunk
        limit.reschedule(loop.time() + outgoing.stall_seconds)


def session_over(connection: SourceConnection, buffer_bytes: int) -> aiohttp.ClientSession:
    """Make a session that remembers nothing, decides nothing and asks the environment nothing."""
    return aiohttp.ClientSession(
        connector=Handover(connection),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=buffer_bytes,
        max_line_size=MAX_HEAD_CHARACTERS,
        max_field_size=MAX_HEAD_CHARACTERS,
        timeout=aiohttp.ClientTimeout(),
        middlewares=(_once,),
    )


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from trying again by itself: attempts are counted elsewhere."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError from error
