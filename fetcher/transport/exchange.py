"""Calls of another service's API: a request, perhaps with a long body, and a small answer."""

import asyncio

import aiohttp
import msgspec

from fetcher.errors import BadResponse, SourceTooSlow
from fetcher.settings.guards.pace import Pace
from fetcher.transport import faults


class CallAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a call, whatever it says.

    Args:
        body: Whole; empty where nobody reads it.
        headers: By lower-case name; repeated ones are joined by commas.
        url: What was called.
    """

    status: int
    body: bytes
    headers: dict[str, str] = {}
    url: str = ""

    @property
    def retry_after(self) -> str | None:
        """Return how long to wait, as it was sent."""
        return self.headers.get("retry-after")


def joined_fields(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the header fields of an answer by their lower-case names."""
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
    return found


async def read_answer(response: aiohttp.ClientResponse, pace: Pace, max_bytes: int) -> CallAnswer:
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
    return CallAnswer(
        status=response.status, body=bytes(body), headers=joined_fields(response), url=str(response.url)
    )
