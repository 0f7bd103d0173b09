"""A network that is not to be trusted: a proxy before a source that cuts, stalls, reorders and rewrites.

    async with Origin(routes) as origin, Meddler(origin, [cutting(1000), passing()]) as network:
        ... network.url("/x") ...

Each connection meets the next trick; the last one for ever after. A trick
sees the request and the answer as they go by.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.lab.origin import Origin

PIECE = 16_384


@dataclass(kw_only=True)
class Passage:
    """One connection on its way through.

    Attributes:
        request: The head of the client's request, with its empty line; a trick may change it.
    """

    network: "Meddler"
    request: bytes
    client: asyncio.StreamWriter

    async def ask(self) -> tuple[bytes, asyncio.StreamReader]:
        """Send the request on; the head of the answer comes back, and what its body is read from."""
        reader, writer = await asyncio.open_connection(self.network.origin.host, self.network.origin.port)
        self.network.writers.add(writer)
        writer.write(self.request)
        return await reader.readuntil(b"\r\n\r\n"), reader

    async def tell(self, head: bytes, body: asyncio.StreamReader, most: int | None = None) -> None:
        """Give the answer to the client; of its body `most` bytes."""
        self.client.write(head)
        left = most
        while left is None or left > 0:
            piece = await body.read(PIECE if left is None else min(PIECE, left))
            if not piece:
                return
            left = None if left is None else left - len(piece)
            self.client.write(piece)
            await self.client.drain()


Trick = Callable[[Passage], Awaitable[None]]


def passing() -> Trick:
    """Leave everything as it is."""

    async def play(passage: Passage) -> None:
        await passage.tell(*await passage.ask())

    return play


def cutting(after: int, *, reset: bool = False) -> Trick:
    """Break off after so many bytes of body, in peace or hard."""

    async def play(passage: Passage) -> None:
        await passage.tell(*await passage.ask(), after)
        if reset:
            passage.client.transport.abort()

    return play


def stalling(after: int) -> Trick:
    """Fall silent after so many bytes of body, and keep the connection."""

    async def play(passage: Passage) -> None:
        await passage.tell(*await passage.ask(), after)
        await passage.network.closed.wait()

    return play


def late(seconds: float = 0.3) -> Trick:
    """Let the next requests go first: hold this one until another was answered, or for a while."""

    async def play(passage: Passage) -> None:
        passage.network.answered.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await passage.network.answered.wait()
        await passage.tell(*await passage.ask())

    return play


def retagging(tag: str) -> Trick:
    """Call the version something else on the way."""
    return rewriting(rb"(?im)^ETag: .*?\r$", f"ETag: {tag}\r".encode())


def rewriting(pattern: bytes, by: bytes) -> Trick:
    """Change the head of the answer."""

    async def play(passage: Passage) -> None:
        head, body = await passage.ask()
        await passage.tell(re.sub(pattern, by, head), body)

    return play


def misdirecting(by: bytes) -> Trick:
    """Ask the source for another part than the client did: none of its bytes are where they should be."""

    async def play(passage: Passage) -> None:
        passage.request = re.sub(rb"(?im)^Range: .*?\r$", b"Range: bytes=" + by + b"\r", passage.request)
        await passage.tell(*await passage.ask())

    return play


class Meddler:
    """Stands between a client and an origin; routes to it are allowed as to any origin.

    Attributes:
        connections: How many have been made.
    """

    def __init__(self, origin: Origin, tricks: Sequence[Trick]) -> None:
        self.origin = origin
        self.host = "127.0.0.1"
        self.port = 0
        self.connections = 0
        self.answered = asyncio.Event()
        self.closed = asyncio.Event()
        self.writers: set[asyncio.StreamWriter] = set()
        self._tricks = list(tricks)
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, path: str) -> str:
        """Where a path of the origin is, through us."""
        return f"http://{self.host}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let everybody go."""
        self.closed.set()
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self.writers:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        trick = self._tricks.pop(0) if len(self._tricks) > 1 else self._tricks[0]
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            await trick(Passage(network=self, request=request, client=writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # Whoever hung up has seen enough.
        finally:
            self.answered.set()
            self._tasks.discard(task)
            writer.close()
