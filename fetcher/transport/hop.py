"""One hop of a request: its way out, the exchange up to the head, and the dialect's word on it."""

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack, suppress

import aiohttp
from yarl import URL

from fetcher.config import Settings
from fetcher.errors import (
    BadResponse,
    SourceTooSlow,
)
from fetcher.guards.request.host_names import as_address, passes_by_proxy
from fetcher.guards.request.url import CheckedUrl
from fetcher.transport import faults
from fetcher.transport.dialect import MAX_ANSWER_BYTES, Answer
from fetcher.transport.dialling.dial import SourceConnection
from fetcher.transport.dialling.tls import client_files
from fetcher.transport.exchange import joined_fields
from fetcher.transport.plan import Plan
from fetcher.transport.redirect_chain import RedirectChain
from fetcher.transport.session import Sent, paced, session_over

WITH_BYTES = frozenset({200, 206, 304})
# With which servers, gateways and signed links refuse a range or its condition, though the whole may be had.
REFUSE_RANGES = frozenset({400, 403, 405, 406, 409, 412, 416, 417})


async def converse(
    chain: RedirectChain, connection: SourceConnection, buffer_bytes: int, stack: AsyncExitStack
) -> aiohttp.ClientResponse:
    """Send the request and wait for the head."""
    target, seconds = chain.target, chain.settings.pace.header_seconds
    proxy = proxy_for(target, chain.settings) if target.scheme == "http" else ""
    session = await stack.enter_async_context(session_over(connection, buffer_bytes))
    outgoing, sent = chain.request.outgoing, Sent()
    seconds = seconds if outgoing is None else outgoing.stall_seconds
    try:
        async with asyncio.timeout(seconds) as limit:
            chain.response = await session.request(
                chain.request.method,
                URL(target.text, encoded=True),
                data=chain.request.body if outgoing is None else paced(outgoing, limit, sent),
                headers=chain.fields(),
                allow_redirects=False,
                proxy=proxy or None,
            )
    except TimeoutError as error:
        reason = f"no complete head within {seconds:g} seconds"
        raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error
    except faults.FOREIGN as error:
        raise faults.before_head(
            error,
            target.host,
            target.port,
            is_http2=connection.is_http2,
            shown=refused_certificate_words(chain),
        ) from error
    stack.callback(chain.response.close)
    if outgoing is not None and 200 <= chain.response.status < 300 and sent.count < outgoing.size:
        raise BadResponse(reason="it says that it has everything before it was sent everything")
    return chain.response


def refused_certificate_words(chain: RedirectChain) -> str:
    """Say whose certificate it is that the hop may not accept; nothing where we have none to show."""
    if chain.target.scheme != "https":
        return ""
    if chain.client is not None:
        return faults.CLIENT_REFUSED
    is_ours = client_files(chain.settings.tls, chain.target.host) is not None
    return faults.OPERATOR_REFUSED if is_ours else ""


async def consult(chain: RedirectChain, response: aiohttp.ClientResponse, stack: AsyncExitStack) -> bool:
    """Show the dialect an answer without bytes; True where it has another question for the service.

    The connection ends before: what the dialect asks meanwhile may need its place.
    """
    dialect = chain.dialect
    if dialect is None:
        return False
    if response.status in WITH_BYTES:
        dialect.accept()
        return False
    headers = joined_fields(response)
    body = await _beginning(response, chain.settings.pace.idle_seconds)
    await stack.aclose()
    answer = Answer(status=response.status, headers=headers, body=body, url=chain.target.text)
    raw = await dialect.consult(answer)
    if raw is not None:
        chain.lead(raw)
    return raw is not None


async def _beginning(response: aiohttp.ClientResponse, seconds: float) -> bytes:
    """Read the small body of an error, as far as it comes."""
    body = b""
    with suppress(TimeoutError, *faults.FOREIGN):
        async with asyncio.timeout(seconds):
            while len(body) < MAX_ANSWER_BYTES and (chunk := await response.content.readany()):
                body += chunk
    return body[:MAX_ANSWER_BYTES]


def proxy_for(target: CheckedUrl, settings: Settings) -> str:
    """Choose the way to a host: the operator's proxy, or none."""
    proxy = settings.egress.proxy
    return "" if not proxy or passes_by_proxy(target.host, settings) else proxy


def judge_behind_proxy(target: CheckedUrl, settings: Settings, own_ports: Collection[int]) -> None:
    """Judge an address in place of a name, though the proxy will dial it; names are the proxy's to judge."""
    literal = as_address(target.host)
    if literal is not None:
        Plan(target.host, target.port, [literal], settings, own_ports=own_ports).judge()
