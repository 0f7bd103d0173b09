"""uvicorn, with a listener of our own that chooses whom it takes in."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar, cast

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from fetcher.api.inbound.connection import Connection
from fetcher.api.inbound.crowd import Crowd, Place
from fetcher.api.inbound.door import Anteroom, Entry, HandOver, Listener
from fetcher.api.inbound.file_sender import FileSender
from fetcher.api.inbound.turns import Turns
from fetcher.descriptors import grow_descriptor_table
from fetcher.settings.server import Inbound

LOOK_SECONDS = 0.5
LOOKS_AT_ONCE = 128
TABLE_LOOK_SECONDS = 0.02
MAX_TABLE_LOOKS = 500

T = TypeVar("T")


class InboundServer(uvicorn.Server):
    """A server whose clients have deadlines and places.

    Attributes:
        listens_on: Called with each port that is opened, None for a path.
        opened: Called when all has been made that a service needs.
        hand_over: Called when all has been opened, before anybody is accepted: who has been until then.
        closed: Called when nobody is connected any more; a signal's own effect may follow at once.

    Args:
        rules: In force now.
        most: How many connections there may be, for the descriptors that there are.
        stop: Has the application take nothing new and end what goes on; waited for beside open requests.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        rules: Callable[[], Inbound],
        most: int,
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._stop = stop
        self._rules = rules
        self.crowd = Crowd(rules, most)
        self.listens_on: Callable[[int | None], None] = lambda _port: None
        self.opened: Callable[[], None] = lambda: None
        self.closed: Callable[[], None] = lambda: None
        self.hand_over: HandOver = list
        self._looking: asyncio.Task[None] | None = None
        self._has_table = False
        self._files: FileSender
        self._turns: Turns
        self._entry: Entry
        self._anteroom: Anteroom

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, then the doors."""
        await self._make_table()
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self._files = FileSender()
        self._turns = Turns()
        self._entry = Entry(self.crowd, self._connection)
        self._anteroom = Anteroom(self.crowd, self._rules, self._entry.let_in)
        self._entry.back = self._anteroom.readmit
        listeners = [Listener(sock, self.crowd, self._anteroom) for sock in sockets or []]
        earlier = self.hand_over()
        for sock, listener in zip(sockets or [], listeners, strict=True):
            listener.open()
            port = None if sock.family == socket.AF_UNIX else sock.getsockname()[1]
            self.listens_on(port)  # Before any client is accepted: that takes the loop.
            for accepted in earlier:
                listener.take(*accepted)
            earlier = []
        self.servers = cast(list[asyncio.base_events.Server], listeners)
        self._looking = asyncio.create_task(self._look())
        self.opened()
        self.started = True

    async def _make_table(self) -> None:
        """Wait for the memory of the loop's table: what is opened without it may spoil all other memory."""
        for _ in range(MAX_TABLE_LOOKS):
            try:
                self._has_table = grow_descriptor_table(self._rules().max_descriptors)
            except MemoryError:
                await asyncio.sleep(TABLE_LOOK_SECONDS)
            else:
                return

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the doors, and stop looking when the last client is gone."""
        stopping = asyncio.ensure_future(self._stop())
        try:
            for listener in self.servers:
                listener.close()
            self._anteroom.close()
            await self._entry.wait_closed()
            await super().shutdown(sockets)
            await stopping
        finally:
            if self._looking is not None:
                self._looking.cancel()
            await self._files.close()
            self.closed()

    def _connection(self, kind: type[Connection], address: str, place: Place, peer: object) -> Connection:
        return kind(
            self.config,
            self.server_state,
            self.lifespan.state,
            rules=self._rules(),
            crowd=self.crowd,
            address=address,
            place=place,
            peer=peer,
            files=self._files,
            turns=self._turns,
        )

    async def _look(self) -> None:
        """Tell every connection again and again how much time has passed."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            rules = self._rules()
            least = min(rules.head_seconds, rules.idle_seconds, rules.stall_seconds)
            await asyncio.sleep(min(LOOK_SECONDS, least / 4))
            if not self._has_table:  # The start was short of memory, or of descriptors.
                with suppress(MemoryError):
                    self._has_table = grow_descriptor_table(rules.max_descriptors)
            # While the loop was held up nobody was listened to: that time is not the clients'.
            now = loop.time()
            seconds, before = min(now - before, 2 * LOOK_SECONDS), now
            await _in_turns(self._anteroom.clients(), partial(self._anteroom.look, seconds=seconds))
            connections = cast(list[Connection], list(self.server_state.connections))
            await _in_turns(connections, partial(self._look_at, seconds=seconds))

    def _look_at(self, connection: Connection, seconds: float) -> None:
        if connection in self.server_state.connections:  # It may have gone meanwhile.
            connection.look(seconds)


async def _in_turns(clients: Sequence[T], look: Callable[[T], None]) -> None:
    """Look at each, and let others have the loop now and then."""
    for number, client in enumerate(clients):
        if number % LOOKS_AT_ONCE == LOOKS_AT_ONCE - 1:
            await asyncio.sleep(0)
        look(client)
