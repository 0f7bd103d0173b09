"""The anteroom: accepted sockets without a transport, a protocol and a parser, until a head is there.

Most of a hostile crowd says nothing, or half a head. Here such a client is one descriptor in a set of the
kernel's, which the loop watches as one, and three system calls.
"""

import asyncio
import random
import re
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from fetcher.api.inbound.answers import plain_answer
from fetcher.api.inbound.crowd import Crowd, Place
from fetcher.api.inbound.door import calls
from fetcher.api.inbound.stall import LATER, LEAVING_SECONDS
from fetcher.errors import RequestTooSlow
from fetcher.settings.server import Inbound

# Edge-triggered: a client that has been sent away is not read, and must not be reported without end.
HEARD = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
MAX_HEARD_AT_ONCE = 64  # Then everybody else gets a turn.
# Half a head of an honest client is no longer; more, and what begins no request, is left to the parser.
HALF_BYTES = 2048
HALF_HEAD = re.compile(
    rb"\r?|[A-Z]{1,16}(?: [!-~]*(?: [!-~]*(?:\r|\r\n(?:[!-9;-~]+:[\t -~\x80-\xff]*\r\n)*"
    rb"(?:[!-9;-~]*|[!-9;-~]+:[\t -~\x80-\xff]*\r?))?)?)?"
)


@dataclass(slots=True, eq=False)
class Waiting:
    """A client in the anteroom.

    Args:
        peer: Its address, as `accept` gave it.
        address: Whom its place counts for.
        place: Which one it has.
        max_wait: How many seconds it may wait.
        is_idle: It has been answered before: it may be silent for longer, and gets no answer at the end.
        waited: For how many seconds it has.
        head: What it has said.
        is_over: It is listened to no more.
        is_watched: The kernel reports what it sends.
        left: Called when it has to leave.
    """

    sock: socket.socket
    peer: object
    address: str
    place: Place
    max_wait: float
    is_idle: bool = False
    waited: float = 0.0
    head: bytes = b""
    is_over: bool = False
    is_watched: bool = False
    left: Callable[["Waiting"], None] = field(default=lambda _client: None)

    def leave(self) -> None:
        """Hang up at once."""
        self.is_over = True
        self.left(self)

    def leave_soon(self) -> None:
        """Listen no more, and hang up in a moment."""
        self.is_over = True
        asyncio.get_running_loop().call_later(LEAVING_SECONDS, self.leave)


class Anteroom:
    """Holds clients until they have said enough to be let in.

    Args:
        crowd: Where each has its place.
        rules: In force now.
        let_in: Takes a client over, with its socket and all that it has said; its place is given back.
    """

    def __init__(self, crowd: Crowd, rules: Callable[[], Inbound], let_in: Callable[[Waiting], None]) -> None:
        self._crowd = crowd
        self._rules = rules
        self._let_in = let_in
        self._loop = asyncio.get_running_loop()
        self._clients: dict[int, Waiting] = {}
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._on_readable)

    def __len__(self) -> int:
        """Return how many are here."""
        return len(self._clients)

    def enter(self, sock: socket.socket, peer: object, address: str, place: Place) -> None:
        """Take in a client that has been admitted; one whose head is there is let in at once."""
        rules = self._rules()
        client = Waiting(sock, peer, address, place, self._max_wait(rules), left=self._forget)
        self._crowd.enter(client, address, place)
        self._listen(client)

    def readmit(self, sock: socket.socket, peer: object, address: str) -> None:
        """Take in a client that has been answered and may ask again."""
        if self._epoll.closed:
            sock.close()
            return
        idle = self._rules().idle_seconds
        client = Waiting(sock, peer, address, Place.NORMAL, idle, is_idle=True, left=self._forget)
        self._crowd.enter(client, address, Place.NORMAL)
        self._crowd.begin(client)
        self._crowd.rest(client)
        self._listen(client)

    def look(self, client: Waiting, seconds: float) -> None:
        """Count seconds that have passed for a client."""
        if client.is_over:
            return
        client.waited += seconds
        if client.waited >= client.max_wait:
            if client.head:
                late = RequestTooSlow(part="head", limit_seconds=self._rules().head_seconds)
                with suppress(OSError):
                    calls.send(client.sock, plain_answer(late))
            self._forget(client)

    def clients(self) -> list[Waiting]:
        """Return everybody who is here."""
        return list(self._clients.values())

    def close(self) -> None:
        """Hang up on everybody."""
        for client in self.clients():
            self._forget(client)
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _max_wait(self, rules: Inbound) -> float:
        return rules.head_seconds * random.uniform(1.0, LATER)  # noqa: S311 - no secret

    def _listen(self, client: Waiting) -> None:
        """Take what is there already, and wait for the rest."""
        self._clients[client.sock.fileno()] = client
        if self._read(client):
            try:
                calls.watch(self._epoll, client.sock.fileno(), HEARD)
                client.is_watched = True
            except OSError:  # The kernel is short of what it needs to watch one more.
                self._forget(client)

    def _on_readable(self) -> None:
        for descriptor, events in self._epoll.poll(0, MAX_HEARD_AT_ONCE):
            client = self._clients.get(descriptor)
            if client is not None and not client.is_over and self._read(client) and events & GONE:
                self._forget(client)  # The rest of its head will never come.

    def _read(self, client: Waiting) -> bool:
        """Take what a client says; return whether it goes on waiting here."""
        try:
            piece = calls.receive(client.sock)
        except BlockingIOError:
            return True
        except OSError:
            piece = b""
        if not piece:  # They are gone.
            self._forget(client)
            return False
        if not client.head:  # The time for a head begins with its first byte.
            client.waited, client.max_wait = 0.0, self._max_wait(self._rules())
        client.head += piece
        if len(client.head) <= HALF_BYTES and HALF_HEAD.fullmatch(client.head):
            return True
        self._release(client)
        self._let_in(client)
        return False

    def _release(self, client: Waiting) -> None:
        """Give up a client's place here, and its place in the crowd, but not its socket."""
        self._clients.pop(client.sock.fileno(), None)
        if client.is_watched:
            self._epoll.unregister(client.sock.fileno())
        self._crowd.exit(client)

    def _forget(self, client: Waiting) -> None:
        """Hang up; closed descriptors are watched no more."""
        self._clients.pop(client.sock.fileno(), None)
        calls.close(client.sock)
        self._crowd.exit(client)
