"""uvicorn, with a listener of our own that chooses whom it takes in."""

import asyncio
import errno
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from fetcher.api.inbound.answers import plain_answer
from fetcher.api.inbound.connection import Connection
from fetcher.api.inbound.crowd import Crowd, Place, client_address
from fetcher.api.inbound.file_sender import FileSender
from fetcher.api.inbound.turns import Turns
from fetcher.descriptors import widen_loop
from fetcher.errors import TooManyConnections
from fetcher.settings.server import Inbound
from fetcher.shortage import is_shortage

log = structlog.get_logger()

BACKLOG = 2048
# Then everybody else gets a turn: whoever is sent away may be back at once, so that they never end.
MOST_ACCEPTED_AT_ONCE = 16
ACCEPT_SECONDS = 0.002
SHORT_SECONDS = 0.1  # Between two tries to accept while there are no descriptors.
LOOK_SECONDS = 0.5
LOOKS_AT_ONCE = 128
SAY_SECONDS = 60.0  # Shortages are said no more often than this.


class Listener:
    """Accepts connections on one socket; has the methods that uvicorn calls on its servers.

    Args:
        connect: Makes a connection of an accepted socket.
    """

    def __init__(
        self, sock: socket.socket, crowd: Crowd, connect: Callable[[str, Place, object], Connection]
    ) -> None:
        self._sock = sock
        self._crowd = crowd
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._refusal = plain_answer(TooManyConnections())
        self._said_at = -SAY_SECONDS

    def open(self) -> None:
        """Begin to accept."""
        self._sock.setblocking(False)
        self._sock.listen(BACKLOG)
        self._loop.add_reader(self._sock.fileno(), self._accept_some)

    def close(self) -> None:
        """Accept no more; closing twice is nothing."""
        if self._again is not None:
            self._again.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until nothing is half accepted."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept_some(self) -> None:
        until = time.monotonic() + ACCEPT_SECONDS
        for _ in range(MOST_ACCEPTED_AT_ONCE):
            if time.monotonic() >= until:
                return
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE} or is_shortage(error):
                    self._wait_for_room(error)
                    return
                continue  # They hung up before we came to them (accept(2)).
            self._take(sock, peer)

    def _wait_for_room(self, error: OSError) -> None:
        """Nobody can be accepted: give up a client that can be spared, and try again soon."""
        is_freed = self._crowd.make_room()
        self._loop.remove_reader(self._sock.fileno())
        self._again = self._loop.call_later(0 if is_freed else SHORT_SECONDS, self._resume)
        if time.monotonic() - self._said_at >= SAY_SECONDS:
            self._said_at = time.monotonic()
            log.warning("inbound.short", detail=str(error), connections=len(self._crowd))

    def _resume(self) -> None:
        self._again = None
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock.fileno(), self._accept_some)

    def _take(self, sock: socket.socket, peer: object) -> None:
        address = client_address(peer)
        place = self._crowd.admit(address)
        if place is Place.NONE:
            with suppress(OSError):
                sock.setblocking(False)
                sock.send(self._refusal)
            sock.close()
            return
        connection = self._connect(address, place, peer)
        self._crowd.enter(connection, address, place)
        with suppress(OSError):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A client that is gone without a word is found out, also while nothing or the end is sent.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, connection.stall_milliseconds)
        task = self._loop.create_task(self._finish(sock, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, sock: socket.socket, connection: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except OSError:  # They are gone again.
            self._crowd.exit(connection)
            sock.close()


class InboundServer(uvicorn.Server):
    """A server whose clients have deadlines and places.

    Attributes:
        listens_on: Told each port that is opened, None for a path.
        opened: Called when all has been made that a service needs.
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
        self._looking: asyncio.Task[None] | None = None
        self._files: FileSender
        self._turns: Turns

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, then the doors."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        widen_loop()
        self._files = FileSender()
        self._turns = Turns()
        listeners = [Listener(sock, self.crowd, self._connection) for sock in sockets or []]
        for sock, listener in zip(sockets or [], listeners, strict=True):
            listener.open()
            port = None if sock.family == socket.AF_UNIX else sock.getsockname()[1]
            self.listens_on(port)  # Before any client is accepted: that takes the loop.
        self.servers = cast(list[asyncio.base_events.Server], listeners)
        self._looking = asyncio.create_task(self._look())
        self.opened()
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the doors, and stop looking when the last client is gone."""
        stopping = asyncio.ensure_future(self._stop())
        try:
            await super().shutdown(sockets)
            await stopping
        finally:
            if self._looking is not None:
                self._looking.cancel()
            await self._files.close()
            self.closed()

    def _connection(self, address: str, place: Place, peer: object) -> Connection:
        return Connection(
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
            # While the loop was held up nobody was listened to: that time is not the clients'.
            now = loop.time()
            seconds, before = min(now - before, 2 * LOOK_SECONDS), now
            for number, connection in enumerate(list(self.server_state.connections)):
                if number % LOOKS_AT_ONCE == LOOKS_AT_ONCE - 1:
                    await asyncio.sleep(0)
                if connection in self.server_state.connections:  # It may have gone meanwhile.
                    cast(Connection, connection).look(seconds)
