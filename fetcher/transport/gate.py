"""The one way to the network: hop by hop, each through every check."""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Callable, Collection
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
from fetcher.guards.network.redirects import REDIRECTS
from fetcher.guards.request.host_names import as_address
from fetcher.guards.request.request_headers import check_request_headers
from fetcher.model import Hop
from fetcher.transport import faults
from fetcher.transport.dialling.address_limiter import AddressLimiter
from fetcher.transport.dialling.dial import SourceConnection, connect
from fetcher.transport.dialling.receive_buffer import ReceivePool
from fetcher.transport.dialling.resolver import LookUp, Resolver, ask_machine
from fetcher.transport.dialling.tls import Trust
from fetcher.transport.exchange import CallAnswer, joined_fields, read_answer
from fetcher.transport.hop import (
    REFUSE_RANGES,
    consult,
    converse,
    judge_behind_proxy,
    proxy_for,
    refused_certificate_words,
)
from fetcher.transport.plan import Plan
from fetcher.transport.redirect_chain import RedirectChain
from fetcher.transport.request import SourceRequest
from fetcher.transport.source import Source

UNREACHABLE = (AddressForbidden, NameUnresolved, ConnectFailed)
# Reading stops at twice this much, so a read returns up to about three times it. A thousand sources that
# wait for our disk share a quarter of the bytes that may be in flight.
MAX_BUFFERED_BYTES = 262_144
LEAST_BUFFERED_BYTES = 16_384


class Gate:
    """Opens sources. Everything that reaches the network goes through one of these.

    Args:
        look_up: Blocks until it has the addresses of a name; the machine's resolver.
        own_ports: That this service listens on, now or later: never dialled at an address of this machine.
    """

    def __init__(self, look_up: LookUp = ask_machine, *, own_ports: Collection[int] = ()) -> None:
        self._own_ports = own_ports
        self._names = Resolver(look_up)
        self._places = AddressLimiter()
        self._trust = Trust()
        self._open = 0
        self._shared = ReceivePool()

    async def close(self) -> None:
        """Hold nothing open: sources close with the blocks they were opened in."""

    @asynccontextmanager
    async def open(
        self, request: SourceRequest, settings: Settings, on_hop: Callable[[Hop], None]
    ) -> AsyncIterator[Source]:
        """Open a source: follow redirects, judge every hop, return at the head of the answer.

        A range that is not honoured to the letter is asked for anew as a
        whole, unless it has an end or is asked of the place that a first
        answer came from; the source's `offset` shows which it is.

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
                chain = RedirectChain(request, settings, on_hop)
                return chain.accept(await self._ask(chain, stack))
        finally:
            self._open -= 1

    async def send(
        self, request: SourceRequest, settings: Settings, on_hop: Callable[[Hop], None]
    ) -> CallAnswer:
        """Send a large body and wait for the answer: no redirect is followed, no body read.

        Args:
            request: With what goes out; its headers go to this one receiver alone.

        Raises:
            Failure: Any that a URL, an address or a connection can end in;
                SourceStatus where the status is not one of success.
        """
        check_request_headers(request.headers)
        self._open += 1
        try:
            async with AsyncExitStack() as stack:
                chain = RedirectChain(request, settings, on_hop)
                response = await self._ask(chain, stack)
                status, headers = chain.accept(response), joined_fields(response)
                return CallAnswer(status=status, body=b"", headers=headers, url=chain.target.text)
        finally:
            self._open -= 1

    async def exchange(
        self, request: SourceRequest, settings: Settings, *, max_answer_bytes: int = 1_048_576
    ) -> CallAnswer:
        """Make one call and read its answer, whatever its status; no redirect is followed.

        Args:
            settings: In force for this call; the callee's place may need others than sources do.

        Raises:
            Failure: Any that a URL, an address, a connection or a head can end in;
                SourceTooSlow where the callee takes no more bytes, or does not answer.
        """
        check_request_headers(request.headers)
        self._open += 1
        try:
            async with AsyncExitStack() as stack:
                response = await self._ask(RedirectChain(request, settings, no_hops), stack)
                return await read_answer(response, settings.pace, max_answer_bytes)
        finally:
            self._open -= 1

    async def _pull(
        self, request: SourceRequest, settings: Settings, record: Callable[[Hop], None], stack: AsyncExitStack
    ) -> Source:
        """Follow the request; once more without its range if that was not honoured."""
        try:
            return await self._follow(RedirectChain(request, settings, record), stack)
        except (BadResponse, SourceStatus) as error:
            if not _may_ask_anew(request, error):
                raise
        await stack.aclose()
        return await self._follow(RedirectChain(request.whole(), settings, record), stack)

    async def _follow(self, chain: RedirectChain, stack: AsyncExitStack) -> Source:
        """Go from hop to hop until an answer is no redirect."""
        seconds = chain.settings.pace.chain_seconds
        try:
            async with asyncio.timeout(seconds):
                while True:
                    response = await self._ask(chain, stack)
                    if await consult(chain, response, stack):
                        continue
                    if response.status not in REDIRECTS or not chain.request.follows:
                        return self._read_direct(chain, chain.judge(response))
                    chain.target = chain.turn(response)
                    # The body of a redirect is never read: its connection ends here.
                    await stack.aclose()
        except TimeoutError as error:
            reason = f"no answer with bytes within {seconds:g} seconds"
            raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error

    async def _ask(self, chain: RedirectChain, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        """Make one request, and record it however it ends."""
        loop = asyncio.get_running_loop()
        pace, began = chain.settings.pace, loop.time()
        chain.begin()
        try:
            secure = None
            if chain.target.scheme == "https":
                secure = await self._trust.context(
                    chain.settings, chain.target.host, chain.request.ca_pem, chain.client
                )
            try:
                async with asyncio.timeout(pace.connect_seconds) as limit:
                    await self._find(chain)
                    # Waiting for others is no fault of the source: only the chain's own limit counts then.
                    left = (limit.when() or 0.0) - loop.time()
                    limit.reschedule(None)
                    await self._take_place(chain, stack)
                    limit.reschedule(loop.time() + left)
                    chain.connection = await self._connect(chain, secure)
            except OSError as error:  # out of time, or of file descriptors
                raise faults.while_connecting(error, chain.target.host, chain.target.port) from error
            stack.callback(chain.connection.close)
            return await converse(
                chain, chain.connection, self._share_bytes(chain.settings, MAX_BUFFERED_BYTES), stack
            )
        except UNREACHABLE:
            await _wait_for_step(began, pace.unreachable_step_seconds)
            raise
        finally:
            chain.end()

    async def _find(self, chain: RedirectChain) -> None:
        """Find the addresses that the hop may dial, and judge them all."""
        target, settings = chain.target, chain.settings
        proxy = URL(proxy_for(target, settings), encoded=True)
        host, port = (proxy.raw_host or "", proxy.port or 0) if proxy else (target.host, target.port)
        if proxy:
            judge_behind_proxy(target, settings, self._own_ports)
        literal = as_address(host if proxy else chain.request.address or host)
        addresses = [literal] if literal else await self._names.resolve(host, settings, chain.request.project)
        chain.plan = Plan(host, port, addresses, settings, is_proxy=bool(proxy), own_ports=self._own_ports)
        chain.plan.judge()

    async def _take_place(self, chain: RedirectChain, stack: AsyncExitStack) -> None:
        """Have a place at the addresses that may be dialled, until the connection ends."""
        if chain.plan is None or chain.plan.is_proxy:
            return
        addresses, project = chain.plan.order, chain.request.project
        most = chain.settings.imports.max_connections_per_address
        await stack.enter_async_context(self._places.hold(addresses, project, most))

    async def _connect(self, chain: RedirectChain, secure: ssl.SSLContext | None) -> SourceConnection:
        """Dial by the plan, through the operator's proxy where there is one."""
        assert chain.plan is not None
        tunnel_to = chain.target.authority if chain.plan.is_proxy and secure else None
        seconds = chain.settings.pace.dial_seconds
        return await connect(chain.plan, seconds, secure, tunnel_to, shown=refused_certificate_words(chain))

    def _read_direct(self, chain: RedirectChain, source: Source) -> Source:
        def room() -> int:
            return self._shared.room(chain.settings.imports.buffer_bytes // 4)

        if chain.connection is not None:
            source.read_direct(chain.connection, self._shared, room)
        return source

    def _share_bytes(self, settings: Settings, most: int) -> int:
        """Return what one of the open sources may hold."""
        share = settings.imports.buffer_bytes // (4 * max(1, self._open))
        return max(LEAST_BUFFERED_BYTES, min(most, share))


def no_hops(_hop: Hop) -> None:
    """Keep nothing of the hops of a request, for callers that show them to nobody."""


async def _wait_for_step(began: float, step_seconds: float) -> None:
    """Wait for the next multiple of a step, so that time does not show why a source is unreachable."""
    if step_seconds:
        elapsed = asyncio.get_running_loop().time() - began
        # A loop's clock may count whole milliseconds: where no time at all has passed it is one step still.
        steps = max(1, math.ceil(elapsed / step_seconds))
        await asyncio.sleep(steps * step_seconds - elapsed)


def _may_ask_anew(request: SourceRequest, error: Failure) -> bool:
    if not request.offset or request.length is not None or not request.follows:
        return False
    is_of_range = isinstance(error, SourceStatus) and error.status in REFUSE_RANGES
    return is_of_range or isinstance(error, BadResponse)
