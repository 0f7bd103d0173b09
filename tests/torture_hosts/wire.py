"""A wire between a host and a server, which can be cut, silent, slow, or say that there is no room.

async with Wire(dial) as wire:
    ... wire.port ...
    wire.set("reset")
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from tests.lab.relay import PIECE, Relay, Streams

Mode = Literal["open", "reset", "silent", "slow", "full"]

NO_ROOM = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\nContent-Length: 51\r\n"
    b"Connection: close\r\n\r\n<Error><Code>QuotaExceeded</Code><Message/></Error>"
)
WRITES = (b"PUT ", b"POST ")


class Wire(Relay):
    """Dials the server for each connection.

    Attributes:
        mode: `reset` breaks off what there is and whatever comes, `silent` moves no byte, `slow` waits before
            each piece, `full` answers every request that writes with 507.
    """

    def __init__(self, dial: Callable[[], Awaitable[Streams]], dice: random.Random) -> None:
        super().__init__()
        self._dial = dial
        self._dice = dice
        self.mode: Mode = "open"
        self._changed = asyncio.Event()

    def set(self, mode: Mode) -> None:
        """Change what it does; connections that are open see it too."""
        self.mode = mode
        if mode in {"reset", "full"}:
            self.abort()
        self._changed.set()
        self._changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what may pass."""
        if self.mode == "reset":
            writer.transport.abort()
            return

        async def pause(piece: bytes, *, is_clients: bool) -> None:
            while self.mode == "silent":
                await self._changed.wait()
            if self.mode == "slow":
                await asyncio.sleep(self._dice.uniform(0, 0.1))
            if self.mode == "full" and is_clients and piece.startswith(WRITES):
                await _refuse(reader, writer)

        await self.join((reader, writer), await self._dial(), pause)


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(NO_ROOM)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):  # So that the answer is read before the connection goes.
            while await reader.read(PIECE):
                pass
    raise ConnectionResetError
