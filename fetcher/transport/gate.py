"""The one way to the network: hop by hop, each through every check."""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
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
from fetcher.guards.url import CheckedUrl
from fetcher.model import Hop
from fetcher.transport import faults
from fetcher.transport.dial import Conversation, Handover, connect
from fetcher.transport.held import Shared
from fetcher.transport.names import LookUp, Names, ask_machine
from fetcher.transport.places import Places
from fetcher.transport.plan import Plan
from fetcher.transport.request import SourceRequest
from fetcher.transport.source import Source
from fetcher.transport.tls import Trust
from fetcher.transport.walk import Walk

UNREACHABLE = (AddressForbidden, NameUnresolved, ConnectFailed)
# Reading stops at twice this much, so a read returns up to about three times it. A thousand sources that
# wait for our disk share a quarter of the bytes that may be in flight.
MOST_BUFFERED_BYTES = 262_144
LEAST_BUFFERED_BYTES = 16_384
# One read of a body of known length: the kernel has seldom more, and it fits the processor's cache.


class Gate:
    """Opens sources. Everything that reaches the network goes through one of these.

    Args:
        look_up: Blocks until it has the addresses of a name; the machine's resolver.
    """

    def __init__(self, look_up: LookUp = ask_machine) -> None:
        self._names = Names(look_up)
        self._places = Places()
        self._trust = Trust()
        self._open = 0
        self._shared = Shared()

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

        self._open += 1
        try:
            async with AsyncExitStack() as stack:
                source = await self._pull(request.settled(), settings, record, stack)
                source.hops = tuple(hops)
                stack.callback(source.close)
                yield source
        finally:
            self._open -= 1

    async def post(self, request: SourceRequest, settings: Settings, on_hop: Callable[[Hop], None]) -> int:
        """Send a small body and wait for the status of the answer: no redirect is followed, no body read.

        Args:
            request: With a body; its headers go to this one receiver alone.

        Raises:
            Failure: Any that a URL, an address or a connection can end in;
                SourceStatus where the status is not one of success.
        """
        check_request_headers(request.headers)
        self._open += 1
        try:
            async with AsyncExitStack() as stack:
                walk = Walk(request, settings, on_hop)
                return walk.accept(await self._ask(walk, stack))
        finally:
            self._open -= 1

    async def _pull(
        self, request: SourceRequest, settings: Settings, record: Callable[[Hop], None], stack: AsyncExitStack
    ) -> Source:
        """Follow the request; once more without its range if that was not honoured."""
        try:
            return await self._follow(Walk(request, settings, record), stack)
        except (BadResponse, SourceStatus) as error:
            if not _may_ask_anew(request, error):
                raise
        await stack.aclose()
        return await self._follow(Walk(request.whole(), settings, record), stack)

    async def _follow(self, walk: Walk, stack: AsyncExitStack) -> Source:
        """Go from hop to hop until an answer is no redirect."""
        seconds = walk.settings.pace.chain_seconds
        try:
            async with asyncio.timeout(seconds):
                while True:
                    response = await self._ask(walk, stack)
                    if response.status not in REDIRECTS:
                        return self._hasten(walk, walk.judge(response))
                    walk.target = walk.turn(response)
                    # The body of a redirect is never read: its connection ends here.
                    await stack.aclose()
        except TimeoutError as error:
            reason = f"no answer with bytes within {seconds:g} seconds"
            raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error

    async def _ask(self, walk: Walk, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        """Make one request, and record it however it ends."""
        loop = asyncio.get_running_loop()
        pace, began = walk.settings.pace, loop.time()
        walk.begin()
        try:
            secure = None
            if walk.target.scheme == "https":
                secure = await self._trust.context(walk.settings, walk.target.host)
            try:
                async with asyncio.timeout(pace.connect_seconds) as limit:
                    await self._find(walk)
                    # Waiting for others is no fault of the source: only the chain's own limit counts then.
                    left = (limit.when() or 0.0) - loop.time()
                    limit.reschedule(None)
                    await self._take_place(walk, stack)
                    limit.reschedule(loop.time() + left)
                    walk.conversation = await self._connect(walk, secure)
            except OSError as error:  # out of time, or of file descriptors
                raise faults.while_connecting(error, walk.target.host, walk.target.port) from error
            stack.callback(walk.conversation.close)
            return await _converse(
                walk, walk.conversation, self._share_bytes(walk.settings, MOST_BUFFERED_BYTES), stack
            )
        except UNREACHABLE:
            await _even_out(began, pace.unreachable_step_seconds)
            raise
        finally:
            walk.end()

    async def _find(self, walk: Walk) -> None:
        """Find the addresses that the hop may dial, and judge them all."""
        target, settings = walk.target, walk.settings
        proxy = URL(settings.egress.proxy, encoded=True)
        host, port = (proxy.raw_host or "", proxy.port or 0) if proxy else (target.host, target.port)
        if proxy:
            _judge_behind_proxy(target, settings)
        literal = as_address(host)
        addresses = [literal] if literal else await self._names.resolve(host, settings, walk.request.project)
        walk.plan = Plan(host, port, addresses, settings, is_proxy=bool(proxy))
        walk.plan.judge()

    async def _take_place(self, walk: Walk, stack: AsyncExitStack) -> None:
        """Have a place at the addresses that may be dialled, until the conversation is over."""
        if walk.plan is None or walk.plan.is_proxy:
            return
        addresses, project = walk.plan.order(), walk.request.project
        await self._places.wait(addresses, project, walk.settings.imports.max_connections_per_address)
        stack.enter_context(self._places.hold(addresses, project))

    async def _connect(self, walk: Walk, secure: ssl.SSLContext | None) -> Conversation:
        """Dial by the plan, through the operator's proxy where there is one."""
        assert walk.plan is not None
        tunnel_to = walk.target.authority if walk.plan.is_proxy and secure else None
        return await connect(walk.plan, walk.settings.pace.dial_seconds, secure, tunnel_to)

    def _hasten(self, walk: Walk, source: Source) -> Source:
        def room() -> int:
            return self._shared.room(walk.settings.imports.buffer_bytes // 4)

        if walk.conversation is not None:
            source.hasten(walk.conversation, self._shared, room)
        return source

    def _share_bytes(self, settings: Settings, most: int) -> int:
        """What one of the open sources may hold."""
        share = settings.imports.buffer_bytes // (4 * max(1, self._open))
        return max(LEAST_BUFFERED_BYTES, min(most, share))


async def _converse(
    walk: Walk, conversation: Conversation, buffer_bytes: int, stack: AsyncExitStack
) -> aiohttp.ClientResponse:
    """Send the request and wait for the head."""
    target, seconds = walk.target, walk.settings.pace.header_seconds
    proxy = walk.settings.egress.proxy if target.scheme == "http" else ""
    session = await stack.enter_async_context(_session(conversation, buffer_bytes))
    try:
        async with asyncio.timeout(seconds):
            walk.response = await session.request(
                walk.request.method,
                URL(target.text, encoded=True),
                data=walk.request.body,
                headers=walk.fields(),
                allow_redirects=False,
                proxy=proxy or None,
            )
    except TimeoutError as error:
        reason = f"no complete head within {seconds:g} seconds"
        raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error
    except faults.FOREIGN as error:
        raise faults.before_head(error, target.host, target.port) from error
    stack.callback(walk.response.close)
    return walk.response


def _session(conversation: Conversation, buffer_bytes: int) -> aiohttp.ClientSession:
    """Make a session that remembers nothing, decides nothing and asks the environment nothing."""
    return aiohttp.ClientSession(
        connector=Handover(conversation),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=buffer_bytes,
        timeout=aiohttp.ClientTimeout(),
        middlewares=(_once,),
    )


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from trying again by itself: attempts are counted elsewhere."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError from error


def _judge_behind_proxy(target: CheckedUrl, settings: Settings) -> None:
    """Judge an address in place of a name, though the proxy will dial it; names are the proxy's to judge."""
    literal = as_address(target.host)
    if literal is not None:
        Plan(target.host, target.port, [literal], settings).judge()


async def _even_out(began: float, step_seconds: float) -> None:
    """Wait for the next multiple of a step, so that time does not tell why a source is unreachable."""
    if step_seconds:
        elapsed = asyncio.get_running_loop().time() - began
        # A loop's clock may tell whole milliseconds: where no time at all has passed it is one step still.
        steps = max(1, math.ceil(elapsed / step_seconds))
        await asyncio.sleep(steps * step_seconds - elapsed)


def _may_ask_anew(request: SourceRequest, error: Failure) -> bool:
    if not request.offset or request.length is not None:
        return False
    return isinstance(error, BadResponse) or (isinstance(error, SourceStatus) and error.status == 416)
