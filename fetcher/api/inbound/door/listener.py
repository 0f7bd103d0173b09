"""A listening socket: who is accepted from it, how many at once, and what if nobody can be."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from fetcher.api.inbound.answers import plain_answer
from fetcher.api.inbound.crowd import Crowd, Place, client_address
from fetcher.api.inbound.door import calls
from fetcher.api.inbound.door.anteroom import Anteroom
from fetcher.errors import TooManyConnections
from fetcher.shortage import is_shortage

log = structlog.get_logger()

# Returns accepted sockets, none of whose clients has been answered.
HandOver = Callable[[], list[tuple[socket.socket, object]]]

BACKLOG = 2048
# Then everybody else gets a turn: whoever is sent away may be back at once, so that they never end.
MAX_ACCEPTED_AT_ONCE = 64
ACCEPT_SECONDS = 0.002
SHORT_SECONDS = 0.1  # Between two tries to accept while there are no descriptors.
SAY_SECONDS = 60.0  # Shortages are said no more often than this.


class Listener:
    """Accepts connections on one socket; has the methods that uvicorn calls on its servers.

    Args:
        anteroom: Where accepted clients wait.
    """

    def __init__(self, sock: socket.socket, crowd: Crowd, anteroom: Anteroom) -> None:
        self._sock = sock
        self._crowd = crowd
        self._anteroom = anteroom
        self._loop = asyncio.get_running_loop()
        self._resume_timer: asyncio.TimerHandle | None = None
        self._refusal = plain_answer(TooManyConnections())
        self._said_at = -SAY_SECONDS

    def open(self) -> None:
        """Begin to accept."""
        self._sock.setblocking(False)
        self._sock.listen(BACKLOG)
        self._loop.add_reader(self._sock.fileno(), self._accept_some)

    def close(self) -> None:
        """Accept no more; closing twice is nothing."""
        if self._resume_timer is not None:
            self._resume_timer.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    async def wait_closed(self) -> None:
        """Return: nobody is accepted only half."""

    def _accept_some(self) -> None:
        until = time.monotonic() + ACCEPT_SECONDS
        for _ in range(MAX_ACCEPTED_AT_ONCE):
            if time.monotonic() >= until:
                return
            try:
                sock, peer = calls.accept(self._sock)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE} or is_shortage(error):
                    self._wait_for_room(error)
                    return
                continue  # They hung up before we came to them (accept(2)).
            self.take(sock, peer)

    def _wait_for_room(self, error: OSError) -> None:
        """Nobody can be accepted: give up a client that can be spared, and try again soon."""
        is_freed = self._crowd.make_room()
        self._loop.remove_reader(self._sock.fileno())
        self._resume_timer = self._loop.call_later(0 if is_freed else SHORT_SECONDS, self._resume)
        if time.monotonic() - self._said_at >= SAY_SECONDS:
            self._said_at = time.monotonic()
            log.warning("inbound.short", detail=str(error), connections=len(self._crowd))

    def _resume(self) -> None:
        self._resume_timer = None
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock.fileno(), self._accept_some)

    def take(self, sock: socket.socket, peer: object) -> None:
        """Find a place for a client that was accepted, here or before this was open."""
        address = client_address(peer)
        place = self._crowd.admit(address)
        if place is Place.NONE:
            with suppress(OSError):
                calls.send(sock, self._refusal)
            calls.close(sock)
        else:
            self._anteroom.enter(sock, peer, address, place)
