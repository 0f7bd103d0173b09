"""A server of our own on loopback whose answers a test decides, request by request.

async with Server(handle) as server:
    ... f"{server.base}/path" ... server.asked
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import msgspec

HEAD_END = b"\r\n\r\n"


class Asked(msgspec.Struct, kw_only=True):
    """One request; its body is whole unless the client broke off."""

    method: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: bytes = b""

    @property
    def line(self) -> str:
        """What was asked, without its values."""
        return " ".join([self.method, self.path, *sorted(self.query)])


class Answer(msgspec.Struct, kw_only=True):
    """One answer; None as a length leaves the field out and closes afterwards."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""


Handle = Callable[[Asked], Awaitable[Answer | None]]


class Server:
    """Takes requests with bodies of any length.

    Attributes:
        handle: Answers a request; None breaks the connection off.
        before: Sees a request before its body is read; an answer is given at once, and the body never read.
        asked: All requests whose heads have come, in order.
    """

    def __init__(
        self, handle: Handle, before: Callable[[Asked], Answer | bytes | None] = lambda _: None
    ) -> None:
        self.handle = handle
        self.before = before
        self.asked: list[Asked] = []
        self.broken: list[Asked] = []
        self.tls: ssl.SSLContext | None = None
        self._over = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20, ssl=self.tls)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        self.base = f"http://{self.host}:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._over.set()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    def lines(self, method: str = "") -> list[str]:
        """What was asked, in order."""
        return [asked.line for asked in self.asked if asked.method.startswith(method)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(HEAD_END)).decode().split("\r\n")
        method, target, _version = first.split()
        headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines if x)}
        parts = urlsplit(target)
        query = {name: found[0] for name, found in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = Asked(method=method, path=parts.path, query=query, headers=headers)
        self.asked.append(asked)
        early = self.before(asked)
        if isinstance(early, bytes):
            writer.write(early)
            await writer.drain()
            await self._over.wait()
            return
        if early is None:
            body = bytearray()
            length = int(headers.get("content-length", "0"))
            while len(body) < length:
                if not (chunk := await reader.read(1 << 20)):
                    self.broken.append(asked)
                    return
                body += chunk
            asked.body = bytes(body)
            early = await self.handle(asked)
        if early is None:
            writer.transport.abort()
            return
        has_length = any(name.lower() == "content-length" for name in early.headers)
        length_field = {} if has_length else {"Content-Length": str(len(early.body))}
        fields = {**length_field, "Connection": "close", **early.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        body = b"" if method == "HEAD" else early.body
        writer.write(f"HTTP/1.1 {early.status} X\r\n{head}\r\n".encode() + body)
        await writer.drain()


async def refuse(_asked: Asked) -> Answer:
    """Answer everything with 400."""
    return Answer(status=400)


def number_of(asked: Asked) -> int:
    """The part that was sent."""
    return int(re.sub(r"\D", "", asked.query.get("partNumber", "")) or 0)
