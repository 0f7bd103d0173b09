"""A receiver of our own on loopback, which can be as bad as receivers are."""

import asyncio
import re
from types import TracebackType
from typing import Self


class Receiver:
    """Takes PUT requests.

    Attributes:
        taken: Bodies that came whole, by path.
        heads: Of all requests, in order.
        behaviour: `take`, or how it misbehaves.
        arrived: Set when a body's first bytes have come.
        release: Lets one that holds go on.
    """

    def __init__(self, behaviour: str = "take") -> None:
        self.behaviour = behaviour
        self.taken: dict[str, bytes] = {}
        self.partial: list[bytes] = []
        self.heads: list[str] = []
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self._failures = 0
        self._over = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._over.set()
        if self._serving:
            await asyncio.wait(self._serving)

    def url(self, path: str) -> str:
        """Where it is reached, by a name that the operator can allow."""
        return f"http://{self.host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        path = head.split()[1]
        length = int(re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)[1])  # type: ignore[index] # a request without a length fails the test
        if self.behaviour == "refuse early":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        if self.behaviour == "redirect":
            writer.write(b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        body = b""
        while len(body) < length:
            chunk = await reader.read(65536)
            if not chunk:
                self.partial.append(body)
                return
            body += chunk
            self.arrived.set()
            if self.behaviour == "hold":
                await self.release.wait()
            if self.behaviour == "stall":
                await self._over.wait()
                return
            if self.behaviour == "break once" and not self._failures:
                self._failures += 1
                writer.transport.abort()
                return
        if self.behaviour == "busy once" and not self._failures:
            self._failures += 1
            writer.write(b"HTTP/1.1 503 Slow Down\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        self.taken[path] = body
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "abc"\r\nContent-Length: 0\r\n\r\n')
        await writer.drain()
