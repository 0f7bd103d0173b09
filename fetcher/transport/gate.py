"""The one way to the network: hop by hop, each through every check."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import msgspec
from yarl import URL

from fetcher.config import Settings
from fetcher.errors import (
    AddressForbidden,
    BadResponse,
    ConnectFailed,
    Failure,
    NameUnresolved,
    SourceStatus,
    SourceTooSlow,
)
from fetcher.guards.host_names import as_address
from fetcher.guards.redirects import REDIRECTS
from fetcher.guards.request_headers import check_request_headers
from fetcher.model import Hop
from fetcher.transport import faults
from fetcher.transport.dial import GuardedConnector, Plan
from fetcher.transport.names import LookUp, Names, ask_machine
from fetcher.transport.request import SourceRequest
from fetcher.transport.source import Source
from fetcher.transport.tls import Trust
from fetcher.transport.walk import Walk

UNREACHABLE = (AddressForbidden, NameUnresolved, ConnectFailed)
# The stream stops reading at twice this; a read then returns up to about three times this at once.
READ_BUFFER_BYTES = 262_144


class Gate:
    """Opens sources. Everything that reaches the network goes through one of these.

    Args:
        look_up: Blocks until it has the addresses of a name; the machine's resolver.
    """

    def __init__(self, look_up: LookUp = ask_machine) -> None:
        self._names = Names(look_up)
        self._trust = Trust()

    async def close(self) -> None:
        """Hold nothing open: sources close with the blocks they were opened in."""

    @asynccontextmanager
    async def open(
        self, request: SourceRequest, settings: Settings, on_hop: Callable[[Hop], None]
    ) -> AsyncIterator[Source]:
        """Open a source: follow redirects, judge every hop, return at the head of the answer.

        A range that is not honoured to the letter is asked for anew as a
        whole, unless it has an end; the source's `offset` tells which it is.

        Args:
            request: The URL and which part of what is behind it.
            settings: In force for the whole chain, whatever changes meanwhile.
            on_hop: Called once for each request of the chain, when its head
                has come or it has failed.

        Raises:
            Failure: Any of the table's that a URL, an address, a redirect, a
                connection or an answer can end in.
        """
        check_request_headers(request.headers)
        hops: list[Hop] = []

        def record(hop: Hop) -> None:
            hops.append(hop)
            on_hop(hop)

        async with AsyncExitStack() as stack:
            try:
                source = await self._follow(Walk(request, settings, record), stack)
            except (BadResponse, SourceStatus) as error:
                if not _may_ask_anew(request, error):
                    raise
                await stack.aclose()
                whole = msgspec.structs.replace(request, offset=0, if_range=None)
                source = await self._follow(Walk(whole, settings, record), stack)
            source.hops = tuple(hops)
            yield source

    async def _follow(self, walk: Walk, stack: AsyncExitStack) -> Source:
        """Go from hop to hop until an answer is no redirect."""
        seconds = walk.settings.pace.chain_seconds
        try:
            async with asyncio.timeout(seconds):
                while True:
                    response = await self._ask(walk, stack)
                    if response.status not in REDIRECTS:
                        return walk.judge(response)
                    walk.target = walk.turn(response)
                    # The body of a redirect is never read: its connection ends here.
                    await stack.aclose()
        except TimeoutError as error:
            reason = f"no answer with bytes within {seconds:g} seconds"
            raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error

    async def _ask(self, walk: Walk, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        """Make one request, and record it however it ends."""
        began = asyncio.get_running_loop().time()
        walk.begin()
        try:
            plan = await self._plan(walk)
            return await self._send(walk, plan, began, stack)
        except UNREACHABLE:
            await _even_out(began, walk.settings.pace.unreachable_step_seconds)
            raise
        finally:
            walk.end()

    async def _plan(self, walk: Walk) -> Plan:
        """Find the addresses that the hop may dial, and judge them all."""
        target, settings = walk.target, walk.settings
        proxy = URL(settings.egress.proxy, encoded=True)
        host, port = (proxy.raw_host or "", proxy.port or 0) if proxy else (target.host, target.port)
        literal = as_address(host)
        if literal is None:
            addresses = await self._names.resolve(host, settings, walk.request.project)
        else:
            addresses = [literal]
        walk.plan = Plan(host, port, addresses, settings, is_proxy=bool(proxy))
        walk.plan.judge()
        inner = as_address(target.host)
        if proxy and inner is not None:
            Plan(target.host, target.port, [inner], settings, is_proxy=False).judge()
        return walk.plan

    async def _send(
        self, walk: Walk, plan: Plan, began: float, stack: AsyncExitStack
    ) -> aiohttp.ClientResponse:
        """Connect by the plan, send the request and wait for the head, each within its time."""
        target, settings, pace = walk.target, walk.settings, walk.settings.pace
        trust = self._trust.context(settings, target.host) if target.scheme == "https" else True
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(began + pace.connect_seconds) as deadline:

                def on_connected() -> None:
                    deadline.reschedule(loop.time() + pace.header_seconds)

                connector = GuardedConnector(plan, on_connected, pace.dial_seconds)
                session = await stack.enter_async_context(_session(connector, pace.dial_seconds))
                walk.response = await session.get(
                    URL(target.text, encoded=True),
                    headers=walk.fields(),
                    allow_redirects=False,
                    proxy=settings.egress.proxy or None,
                    ssl=trust,
                )
        except faults.FOREIGN as error:
            raise faults.before_head(error, plan, settings) from error
        stack.callback(walk.response.close)
        return walk.response


def _session(connector: GuardedConnector, dial_seconds: float) -> aiohttp.ClientSession:
    """Make a session that remembers nothing, decides nothing and asks the environment nothing."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=READ_BUFFER_BYTES,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=dial_seconds, ceil_threshold=dial_seconds + 1),
        middlewares=(_once,),
    )


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from trying again by itself: attempts are counted elsewhere."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError from error


async def _even_out(began: float, step_seconds: float) -> None:
    """Wait for the next multiple of a step, so that time does not tell why a source is unreachable."""
    if step_seconds:
        elapsed = asyncio.get_running_loop().time() - began
        await asyncio.sleep(math.ceil(elapsed / step_seconds) * step_seconds - elapsed)


def _may_ask_anew(request: SourceRequest, error: Failure) -> bool:
    if not request.offset or request.length is not None:
        return False
    return isinstance(error, BadResponse) or (isinstance(error, SourceStatus) and error.status == 416)
