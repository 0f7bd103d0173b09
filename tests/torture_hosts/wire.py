"""A wire between a host and a server, which can be cut, silent, slow, or say that there is no room.

async with Wire(dial) as wire:
    ... wire.port ...
    wire.set("reset")
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

Mode = Literal["open", "reset", "silent", "slow", "full"]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PIECE = 65_536
NO_ROOM = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\nContent-Length: 51\r\n"
    b"Connection: close\r\n\r\n<Error><Code>QuotaExceeded</Code><Message/></Error>"
)
WRITES = (b"PUT ", b"POST ")


class Wire:
    """Listens on a port of loopback, and dials the server for each connection.

    Attributes:
        mode: `reset` breaks off what there is and whatever comes, `silent` moves no byte, `slow` waits before
            each piece, `full` answers every request that writes with 507.
    """

    def __init__(self, dial: Callable[[], Awaitable[Streams]], dice: random.Random) -> None:
        self._dial = dial
        self._dice = dice
        self.mode: Mode = "open"
        self.port = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let everybody go."""
        self._server.close()
        self._abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set(self, mode: Mode) -> None:
        """Change what it does; connections that are open see it too."""
        self.mode = mode
        if mode in {"reset", "full"}:
            self._abort()
        self._changed.set()
        self._changed = asyncio.Event()

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        back = None
        try:
            if self.mode == "reset":
                return
            there, back = await self._dial()
            self._writers.add(back)
            await asyncio.gather(self._pass(reader, back, writer), self._pass(there, writer, None))
        except (OSError, asyncio.CancelledError):
            pass  # Whoever hung up has seen enough.
        finally:
            for one in (writer, back):
                if one is not None:
                    one.transport.abort()
                    self._writers.discard(one)
            self._tasks.discard(task)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        refuse_to: asyncio.StreamWriter | None,
    ) -> None:
        while piece := await reader.read(PIECE):
            while self.mode == "silent":
                await self._changed.wait()
            if self.mode == "slow":
                await asyncio.sleep(self._dice.uniform(0, 0.1))
            if self.mode == "full" and refuse_to is not None and piece.startswith(WRITES):
                refuse_to.write(NO_ROOM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):  # So that the answer is read before the connection goes.
                        while await reader.read(PIECE):
                            pass
                raise ConnectionResetError
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError  # One side is gone: so is the other.
