"""Dialling: to the addresses of a plan and nowhere else, through a proxy and TLS where they are wanted."""

import asyncio
import re
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from fetcher.errors import ConnectFailed, Failure
from fetcher.model import TlsPeer
from fetcher.transport import faults
from fetcher.transport.dialling.head_lines import HeadLines
from fetcher.transport.dialling.heads import Heads
from fetcher.transport.dialling.tls import check_names, read_peer
from fetcher.transport.plan import AnyAddress, Plan

# How long one address is waited for before the next is tried beside it (RFC 8305 section 5).
STAGGER_SECONDS = 0.25
# A source may announce its answer with a few interim ones, not with an endless stream of them.
MAX_INTERIM_ANSWERS = 16
MAX_PROXY_HEAD_BYTES = 8192

_TUNNEL = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


class TooManyAnswers(aiohttp.ClientPayloadError):
    """More interim answers than any source needs."""


class AmbiguousHead(aiohttp.ClientPayloadError):
    """A head that two readers could read in two ways."""


class SourceConnection(ResponseHandler):
    """One connection, and who is at its other end.

    Attributes:
        address: Who was dialled; kept here, since a closed connection has none.
        tls: Who they proved to be.
    """

    address: str | None = None
    tls: TlsPeer | None = None
    _opener = 0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._heads = Heads()
        self._lines = HeadLines()

    @property
    def is_http2(self) -> bool:
        """Return whether the other end has spoken HTTP/2, which nobody offered."""
        return self._heads.is_http2

    def data_received(self, data: bytes) -> None:
        """Refuse a head that can be read in two ways; settle what the parser refuses though it is allowed."""
        objection = self._lines.objection(data)
        if objection:
            self.set_exception(AmbiguousHead(objection))
            self.abort()
            return
        is_for_parser = bool(data) and self._parser is not None  # Else it is kept, or only wakes the parser.
        passed = self._heads.pass_on(data) if is_for_parser else data
        if passed or not data:
            super().data_received(passed)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Record the other end before it can hang up."""
        super().connection_made(transport)
        self.tls = read_peer(transport.get_extra_info("ssl_object"))

    def close(self) -> None:
        """Hang up without a farewell: a source that does not answer it would hold the connection open."""
        self.abort()

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Pass on what ended the connection to the reader of the body, which would wait on otherwise."""
        cause = exc if exc_cause is None else exc_cause
        super().set_exception(exc, cause)
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            broken = aiohttp.ClientPayloadError()
            broken.__cause__ = cause
            body.set_exception(broken, cause)

    async def read(self) -> Any:
        """Wait for the next head; aiohttp would skip interim ones without end, and without a pause.

        Raises:
            TooManyAnswers: So many that no honest source sends them.
        """
        self._opener += 1
        if self._opener > MAX_INTERIM_ANSWERS + 1:
            raise TooManyAnswers
        return await super().read()


class TlsLayer(SSLProtocol):
    """TLS, asyncio's own whatever the loop is.

    uvloop's drops what it has not passed on yet when the source hangs up while
    reading is paused, so many a large download from a fast source would lack
    its end. The buffer is allocated for each connection; a larger one gains
    nothing that can be measured.
    """

    max_size = 65_536

    @property
    def has_agreed(self) -> bool:
        """Return whether version and cipher were settled: what fails then is about who somebody is.

        Source: RFC 5246 section 7.4.6: a server without the certificate that it wants sends the alert that
        also means that no cipher suits it.
        """
        secured: ssl.SSLObject | None = getattr(self, "_sslobj", None)
        return secured is not None and secured.cipher() is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hold no more than a buffer of what has not been decrypted: a thousand sources may wait at once."""
        self._app_transport.set_read_buffer_limits(high=self.max_size)
        super().connection_made(transport)


class Handover(aiohttp.BaseConnector):
    """Gives aiohttp the one connection that was dialled for it; it cannot get another."""

    def __init__(self, connection: SourceConnection) -> None:
        super().__init__(force_close=True, limit=1)
        self._connections = [connection]

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,  # noqa: ARG002 - aiohttp's own signature
        traces: list[Trace],  # noqa: ARG002 - aiohttp's signature
        timeout: aiohttp.ClientTimeout,  # noqa: ARG002, ASYNC109 - likewise
    ) -> ResponseHandler:
        if not self._connections:
            raise aiohttp.ClientConnectionError
        return self._connections.pop()


async def connect(
    plan: Plan,
    dial_seconds: float,
    secure: ssl.SSLContext | None,
    tunnel_to: str | None,
    *,
    shown: str = "",
) -> SourceConnection:
    """Connect by a plan.

    Args:
        plan: Whom to dial.
        dial_seconds: For one address.
        secure: Does TLS where given, for the host of the plan or of the tunnel.
        tunnel_to: `host:port` that the plan's host, a proxy, shall connect us to.
        shown: What is to be said where the certificate that we have to show is refused.

    Raises:
        AddressForbidden: A dial would have led elsewhere.
        ConnectFailed: Nobody answers, or the proxy does not connect us.
        TlsFailed: The server cannot prove to be the host.
    """
    name = plan.host if tunnel_to is None else tunnel_to.rpartition(":")[0].strip("[]")
    sock = await _race(plan, dial_seconds)
    try:
        if tunnel_to is not None:
            await _open_tunnel(sock, tunnel_to)
        address = str(sock.getpeername()[0])
    except faults.FOREIGN as error:
        sock.close()
        raise faults.while_connecting(error, name, plan.port) from error
    except BaseException:
        sock.close()
        raise
    try:
        connection = await _converse(sock, secure, name)
    except faults.FOREIGN as error:
        raise faults.while_connecting(error, name, plan.port, shown=shown) from error
    connection.address = address
    return connection


async def _race(plan: Plan, dial_seconds: float) -> socket.socket:
    """Dial one address after the other without waiting for each to fail; the first to answer wins."""
    waiting = list(plan.order)
    if len(waiting) == 1:  # As most hosts have it: nobody to race with.
        return await _dial(plan, waiting[0], dial_seconds)
    dials: list[asyncio.Task[socket.socket]] = []
    failure: Failure | None = None
    try:
        running: set[asyncio.Task[socket.socket]] = set()
        while waiting or running:
            if waiting:
                dials.append(asyncio.create_task(_dial(plan, waiting.pop(0), dial_seconds)))
                running.add(dials[-1])
            done, running = await asyncio.wait(
                running, timeout=STAGGER_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for dial in done:
                try:
                    sock = dial.result()
                except Failure as error:
                    failure = error
                else:
                    dials.remove(dial)
                    return sock
        raise failure or ConnectFailed(host=plan.host, port=plan.port, reason="the name has no address")
    finally:
        await _drop(dials)


async def _drop(dials: list[asyncio.Task[socket.socket]]) -> None:
    """Let go of dials that are not needed any more, also of those that have come through."""
    for dial in dials:
        dial.cancel()
    if dials:
        await asyncio.wait(dials)
    for dial in dials:
        if not dial.cancelled() and dial.exception() is None:
            dial.result().close()


async def _dial(plan: Plan, address: AnyAddress, dial_seconds: float) -> socket.socket:
    try:
        sock = plan.make_socket(address)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(dial_seconds):
                await asyncio.get_running_loop().sock_connect(sock, (str(address), plan.port))
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise faults.while_connecting(error, plan.host, plan.port) from error
    return sock


async def _open_tunnel(sock: socket.socket, target: str) -> None:
    """Have a proxy connect us to the target.

    Raises:
        OSError: The proxy hung up.
        ProxyRefused: It does not want to.

    Source: RFC 9110 section 9.3.6.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await loop.sock_recv(sock, MAX_PROXY_HEAD_BYTES)
        head += piece
        if not piece or len(head) > MAX_PROXY_HEAD_BYTES:
            raise faults.ProxyRefused("no valid answer")
    match = _TUNNEL.match(head)
    # Nobody speaks in the tunnel before we do: what follows the head would be the proxy's own.
    if match is None or not head.endswith(b"\r\n\r\n") or match[1] != b"200":
        raise faults.ProxyRefused(match[1].decode() if match else "no valid answer")


async def _converse(sock: socket.socket, secure: ssl.SSLContext | None, name: str) -> SourceConnection:
    """Put aiohttp's protocol on a socket, with TLS between them where it is wanted."""
    loop = asyncio.get_running_loop()
    connection = SourceConnection(loop)
    if secure is None:
        await loop.create_connection(lambda: connection, sock=sock)
        return connection
    shaken = loop.create_future()
    transport, layer = await loop.create_connection(
        lambda: TlsLayer(loop, connection, secure, shaken, server_hostname=name), sock=sock
    )
    try:
        await shaken
        if not secure.check_hostname and secure.verify_mode is ssl.CERT_REQUIRED:
            check_names(connection.transport, name)
    except BaseException as error:
        transport.abort()
        if isinstance(error, ssl.SSLError) and layer.has_agreed:
            raise faults.as_handshake_refusal(error) from error
        raise
    return connection
