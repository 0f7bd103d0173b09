"""The way from the anteroom to a connection: of a transport for most, straight on for probes."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from fetcher.api.inbound.connection import Connection
from fetcher.api.inbound.crowd import Crowd, Place
from fetcher.api.inbound.door.anteroom import Waiting
from fetcher.api.inbound.door.probe import Probe, ProbeTransport, is_probe

# Makes a connection of a class for an address, a place and a peer.
Connect = Callable[[type[Connection], str, Place, object], Connection]
Back = Callable[[socket.socket, object, str], None]


class Entry:
    """Makes connections of clients whose head is there.

    Args:
        connect: Makes the protocol.

    Attributes:
        back: Takes clients back that have been answered and may ask again.
    """

    def __init__(self, crowd: Crowd, connect: Connect) -> None:
        self._crowd = crowd
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self.back: Back = lambda sock, _peer, _address: sock.close()

    def let_in(self, client: Waiting) -> None:
        """Take a client over, with all that it has said."""
        if is_probe(client.head):
            self._answer(client)
            return
        connection = self._connect(Connection, client.address, client.place, client.peer)
        connection.begin_with(client.head)
        self._crowd.enter(connection, client.address, client.place)
        sock = client.sock
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

    def _answer(self, client: Waiting) -> None:
        connection = self._connect(Probe, client.address, client.place, client.peer)
        self._crowd.enter(connection, client.address, client.place)
        transport = ProbeTransport(client.sock, lambda: self.back(client.sock, client.peer, client.address))
        transport.protocol = connection
        connection.connection_made(transport)
        connection.data_received(client.head)

    async def wait_closed(self) -> None:
        """Wait until nobody is let in only half."""
        if self._tasks:
            await asyncio.wait(self._tasks)
