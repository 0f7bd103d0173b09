"""Relays between a client and a server; what each kind does with the bytes, it says itself."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Protocol, Self

PIECE = 65_536
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pause(Protocol):
    """Comes between a piece that was read and its being sent on."""

    async def __call__(self, piece: bytes, *, is_clients: bool) -> None:
        """Wait as long as it must."""


class Relay:
    """Listens on a free port of loopback; whoever is connected is let go of at its end.

    Attributes:
        port: Where it listens.
    """

    def __init__(self) -> None:
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let everybody go."""
        self._server.close()
        self.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def abort(self) -> None:
        """Break off every connection there is."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # Whoever hung up has seen enough.
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Have one conversation."""
        raise NotImplementedError

    async def join(self, client: Streams, server: Streams, pause: Pause | None = None) -> None:
        """Pass bytes both ways until one side hangs up; what it had sent before still arrives.

        Args:
            pause: Sees each piece before it goes on, and whether it is the client's; may wait, or break off
                by raising.
        """
        self._writers.add(server[1])
        try:
            await asyncio.gather(
                _carry(client[0], server[1], partial(pause, is_clients=True) if pause else None),
                _carry(server[0], client[1], partial(pause, is_clients=False) if pause else None),
            )
        finally:
            server[1].transport.abort()
            self._writers.discard(server[1])


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pause: Callable[[bytes], Awaitable[None]] | None,
) -> None:
    try:
        while piece := await reader.read(PIECE):
            if pause is not None:
                await pause(piece)
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
