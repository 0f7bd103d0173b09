"""The one place where sockets are made: what is not judged is not dialled."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import aiohttp
from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from fetcher.config import Settings
from fetcher.errors import AddressForbidden, Failure
from fetcher.guards.address import check_address
from fetcher.model import TlsPeer
from fetcher.transport.tls import read_peer

AnyAddress = IPv4Address | IPv6Address
# A source may announce its answer with a few interim ones, not with an endless stream of them.
MAX_INTERIM_ANSWERS = 16


class DialRefused(OSError):
    """The dial was refused by a rule; an OSError, because only these keep their way through aiohttp."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class TooManyAnswers(aiohttp.ClientPayloadError):
    """More interim answers than any source needs."""


class Plan:
    """Which addresses one hop may dial, and what came of it.

    Args:
        addresses: All judged already; each is judged again when it is dialled.
        is_proxy: They are the operator's own proxy, whose address no rule binds.
    """

    def __init__(
        self, host: str, port: int, addresses: Sequence[AnyAddress], settings: Settings, *, is_proxy: bool
    ) -> None:
        self.host = host
        self.port = port
        self.addresses = tuple(addresses)
        self.settings = settings
        self.is_proxy = is_proxy
        self.refused: Failure | None = None
        self.is_connected = False
        self.dialled: tuple[str, int] | None = None
        self.tls: TlsPeer | None = None

    def judge(self) -> None:
        """Refuse the hop if any of its addresses is forbidden.

        Picking the good ones would let a name that rotates its answers try
        again and again.

        Raises:
            AddressForbidden: At the first that is.
        """
        for address in self.addresses if not self.is_proxy else ():
            judge_address(address, self.port, self.settings, self.host)

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket of one dial, if it goes where this hop may go.

        Raises:
            DialRefused: It goes anywhere else.
        """
        family, kind, protocol, _, target = info
        try:
            self._judge_target(target)
        except AddressForbidden as error:
            self.refused = error
            raise DialRefused(error) from error
        self.dialled = (str(target[0]), target[1])
        return socket.socket(family=family, type=kind, proto=protocol)

    def note(self, transport: asyncio.BaseTransport) -> None:
        """Record who was reached; when the body is complete, it is too late to ask."""
        self.is_connected = True
        peer = transport.get_extra_info("peername")
        self.dialled = (str(peer[0]), peer[1]) if peer else self.dialled
        self.tls = read_peer(transport.get_extra_info("ssl_object"))

    def reached(self) -> tuple[str | None, int | None]:
        """Tell who was dialled; before that, who would have been."""
        if self.dialled:
            return self.dialled
        return (str(self.addresses[0]), self.port) if self.addresses else (None, None)

    def _judge_target(self, target: tuple[Any, ...]) -> None:
        try:
            address = ip_address(target[0])
        except ValueError as error:
            raise self.forbid(str(target[0]), target[1], "it is a name, not an address") from error
        if address not in self.addresses or target[1] != self.port or (len(target) == 4 and target[3]):
            raise self.forbid(str(address), target[1], "it is not the address that was judged")
        if not self.is_proxy:
            judge_address(address, self.port, self.settings, self.host)

    def forbid(self, address: str, port: int, reason: str) -> AddressForbidden:
        """Say that something is not dialled."""
        return AddressForbidden(host=self.host, address=address, port=port, reason=reason)


class Pinned(AbstractResolver):
    """Answers with the addresses of a plan and nothing else."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - all families were judged
    ) -> list[ResolveResult]:
        """Answer for the host of the plan.

        Raises:
            DialRefused: Another host is asked for, or there is no address.
        """
        plan = self._plan
        if host.rstrip(".") != plan.host or port != plan.port or not plan.addresses:
            raise DialRefused(plan.forbid("", port, "it is not the host that was judged"))
        return [_answer(host, port, address) for address in plan.addresses]

    async def close(self) -> None:
        """Hold nothing."""


class GuardedConnector(TCPConnector):
    """Connects by a plan, tells when it did, and bounds the interim answers."""

    def __init__(self, plan: Plan, on_connected: Callable[[], None], dial_seconds: float) -> None:
        super().__init__(
            resolver=Pinned(plan),
            socket_factory=plan.make_socket,
            use_dns_cache=False,
            force_close=True,
            limit=1,
            timeout_ceil_threshold=dial_seconds + 1,
        )
        self._plan = plan
        self._on_connected = on_connected

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> Connection:
        """Connect, then record the peer before it can hang up."""
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        if connection.transport is None or protocol is None:
            raise aiohttp.ServerDisconnectedError
        self._plan.note(connection.transport)
        self._on_connected()
        read, seen = protocol.read, 0

        async def read_few() -> Any:
            nonlocal seen
            seen += 1
            if seen > MAX_INTERIM_ANSWERS + 1:
                raise TooManyAnswers
            return await read()

        # aiohttp skips interim answers without end, and without letting anybody else run.
        protocol.read = read_few  # type: ignore[method-assign] # there is no hook for it
        return connection


def judge_address(address: AnyAddress, port: int, settings: Settings, host: str) -> None:
    """Refuse an address that is forbidden by the rules, or is this machine's own.

    Raises:
        AddressForbidden: It is.
    """
    check_address(address, port, settings, host)
    if any(settings.address.allowing(address)):
        return
    if is_own(address, port):
        raise AddressForbidden(host=host, address=str(address), port=port, reason="it is this machine's own")


def is_own(address: AnyAddress, port: int) -> bool:
    """Tell whether an address is one of this machine's, public ones too; nothing is sent.

    A UDP socket that is connected to the machine itself takes the very same
    address as its own end.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), port))
        except OSError:
            return False  # there is no way there at all
        return ip_address(probe.getsockname()[0]) == address


def _answer(host: str, port: int, address: AnyAddress) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
