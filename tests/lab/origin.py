"""A hostile HTTP origin on a raw socket: what it says is up to the test, byte by byte.

    async with Origin({"/disk.img": serve(data, etag='"1"')}) as origin:
        settings = lab_settings(origin)
        ... origin.url("/disk.img") ...
        assert origin.sent_bytes == len(data)

A route is a behaviour: an async function that gets an `Exchange` and says
whatever it likes. The ready-made ones are in `tests.lab.behaviours`. A path
without a route is answered with 404; `"*"` takes all others.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

Behaviour = Callable[["Exchange"], Awaitable[None]]


@dataclass(kw_only=True)
class Request:
    """What a client asked.

    Args:
        target: As in the request line.
        fields: All header fields in their order, names as sent.
    """

    method: str
    target: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """Find the first field of a name."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class Exchange:
    """One request and the connection to answer it on.

    Attributes:
        origin: Whose connection it is; holds the counts.
        request: What was asked.
        sent_bytes: Of the body; buffered by the kernel perhaps.
    """

    def __init__(
        self, origin: "Origin", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
    ) -> None:
        self.origin = origin
        self.request = request
        self.sent_bytes = 0
        self._reader = reader
        self._writer = writer

    async def send(self, *parts: bytes | str) -> None:
        """Send bytes as they are, text as UTF-8; not counted as body."""
        for part in parts:
            self._writer.write(part if isinstance(part, bytes) else part.encode())
        await self._writer.drain()

    async def send_body(self, data: bytes | memoryview) -> None:
        """Send bytes that count as body, as fast as the client takes them."""
        view = memoryview(data)
        for start in range(0, len(view), 262_144):
            piece = view[start : start + 262_144]
            self._writer.write(piece)
            self.origin.sent_bytes += len(piece)
            self.sent_bytes += len(piece)
            await self._writer.drain()

    async def send_head(self, status: int | str = 200, fields: Mapping[str, object] | None = None) -> None:
        """Send a status line and header fields; `status` may hold a reason."""
        lines = [f"HTTP/1.1 {status}" if isinstance(status, str) else f"HTTP/1.1 {status} Whatever"]
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        await self.send("\r\n".join(lines) + "\r\n\r\n")

    async def read_body(self) -> bytes:
        """Read the body of the request, as long as its head says."""
        return await self._reader.readexactly(int(self.request.header("Content-Length") or "0"))

    async def wait_gone(self) -> None:
        """Wait until the client hangs up: how a test learns that it was given up."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while await self._reader.read(65536):
                pass

    def reset(self) -> None:
        """Break the connection off with a reset instead of an end."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


class Origin:
    """A server that counts everything.

    Args:
        routes: Behaviours by path; may be changed while it runs.
        host: A loopback address to listen on.
        port: 0 picks a free one.
        tls: Makes it https.
        greeting: Said as soon as somebody connects, before any request.
        is_mute: Never reads a request: accepts, and that is all.
        send_buffer_bytes: Of the kernel, for each connection, so that what counts as sent was taken but for
            these; the kernel chooses by default, megabytes on loopback.

    Attributes:
        requests: All that came, in their order.
        connections: How many were accepted.
        open_connections: How many are open now.
        sent_bytes: Of bodies, over all connections; buffered by the kernel perhaps.
        errors: What behaviours raised, except connections that the client broke off.
    """

    def __init__(
        self,
        routes: Mapping[str, Behaviour] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        greeting: bytes = b"",
        is_mute: bool = False,
        send_buffer_bytes: int | None = None,
    ) -> None:
        self.routes: dict[str, Behaviour] = dict(routes or {})
        self.host = host
        self.port = port
        self.requests: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        self.sent_bytes = 0
        self.errors: list[Exception] = []
        self._tls = tls
        self._greeting = greeting
        self._is_mute = is_mute
        self._send_buffer_bytes = send_buffer_bytes
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self._tls, backlog=1024
        )
        listening = self._server.sockets[0]
        self.port = listening.getsockname()[1]
        if self._send_buffer_bytes is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer_bytes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up on everybody; a behaviour that broke fails the test."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if error is None and self.errors:
            raise self.errors[0]

    def url(self, path: str = "/", host: str | None = None) -> str:
        """Make the URL of a path, by address or under a name that a fake resolver knows."""
        shown = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{'https' if self._tls else 'http'}://{shown}:{self.port}{path}"

    async def wait_requests(self, count: int) -> None:
        """Wait until so many requests have come in all."""
        await self._wait(lambda: len(self.requests) >= count)

    async def wait_connections(self, count: int) -> None:
        """Wait until so many connections were accepted in all."""
        await self._wait(lambda: self.connections >= count)

    async def wait_idle(self) -> None:
        """Wait until no connection is open: nobody holds on to this origin any more."""
        await self._wait(lambda: self.open_connections == 0)

    async def _wait(self, is_so: Callable[[], bool]) -> None:
        async with self._changed, asyncio.timeout(30):
            await self._changed.wait_for(is_so)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        await self._notify()
        try:
            await self._converse(reader, writer)
            writer.close()  # Sends what is buffered first.
            await writer.wait_closed()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        except asyncio.CancelledError:
            pass  # the test is over; asyncio would report a cancelled handler as a fault
        except Exception as error:  # noqa: BLE001 - shown when the block ends
            self.errors.append(error)
        finally:
            with contextlib.suppress(AttributeError):  # A transport that is lost has no loop any more.
                writer.transport.abort()
            self.open_connections -= 1
            self._tasks.discard(task)
            with contextlib.suppress(asyncio.CancelledError):
                await self._notify()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._greeting:
            writer.write(self._greeting)
            await writer.drain()
        if self._is_mute:
            await Exchange(self, reader, writer, Request(method="", target="")).wait_gone()
            return
        head = await reader.readuntil(b"\r\n\r\n")
        request = _parse(head)
        self.requests.append(request)
        await self._notify()
        behaviour = self.routes.get(request.path) or self.routes.get("*") or _not_found
        await behaviour(Exchange(self, reader, writer, request))


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = [(line.partition(":")[0], line.partition(":")[2].strip()) for line in lines if line]
    return Request(method=method, target=target, fields=fields)


async def _not_found(exchange: Exchange) -> None:
    await exchange.send_head("404 Not Found", {"Content-Length": 0, "Connection": "close"})
