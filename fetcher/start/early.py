"""Whoever answers at the port while a start is under way: that the process is there, and takes nothing yet.

Most of a start is loading modules, and then opening the store and the index, which takes minutes where
a large one is brought up to date. What this needs is loaded in a fraction of that.
"""

import os
import select
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from resource import RLIMIT_NOFILE, getrlimit

from fetcher.config import Settings
from fetcher.start.early_answers import EarlyAnswers

BACKLOG = 2048
MAX_CLIENTS = 256  # Beyond them, who has been there longest leaves: whoever asks is answered at once.
MAX_ACCEPTED_AT_ONCE = 64
LOOK_SECONDS = 0.5
SHORT_SECONDS = 0.05  # Before another try to accept, while there are no descriptors.
# What a client still sends is read for so long after its answer, which might be lost otherwise
# (RFC 9112 section 9.6).
LINGER_SECONDS = 1.0
# Most starts are done by then: who asks for anything but health is answered by the service itself, and who
# waits for health and submits at once is not sent away. Later clients are asked to come again.
HOLD_SECONDS = 5.0
HEAD_BYTES = 16_384  # Looked at for the end of a head; whoever sends more is answered without it.
PIECE_BYTES = 65_536
MAX_PIECES = 16  # Read after an answer in one go.
# Level-triggered, half a head that is left with the kernel would be reported without end.
HEARD = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET

Accepted = tuple[socket.socket, object]


@dataclass(slots=True, eq=False)
class _Client:
    """One connection.

    Args:
        peer: Its address, as `accept` gave it.
        since: The monotonic second in which it came, asked, or was answered.
        is_held: It has asked for what the service itself should answer.
    """

    sock: socket.socket
    peer: object
    since: float
    is_held: bool = False
    is_answered: bool = False

    def seconds(self, patience: float) -> float:
        """Return how long it may be as it is; a head has so much patience."""
        if self.is_answered:
            return LINGER_SECONDS
        return HOLD_SECONDS if self.is_held else patience


class Early:
    """Answers on a listening socket, in a thread of its own, until somebody takes that over.

    What clients send stays with the kernel until it is answered: those who have said nothing, or half a
    head, are handed over as they are.

    Args:
        listening: Bound; it listens from now on.
        settings: Sound ones, as far as that is known before anything is opened.

    Raises:
        OSError: There are no descriptors for it.
    """

    def __init__(self, listening: socket.socket, settings: Settings) -> None:
        self._listening = listening
        self._answers = EarlyAnswers(settings)
        self._patience = settings.inbound.head_seconds
        self._most = min(MAX_CLIENTS, max(4, getrlimit(RLIMIT_NOFILE)[0] // 4))
        self._clients: dict[int, _Client] = {}
        self._is_over = threading.Event()
        self._waiting: list[Accepted] = []
        listening.setblocking(False)
        listening.listen(BACKLOG)
        self._epoll = select.epoll()
        self._end = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._end, select.EPOLLIN)
        self._epoll.register(listening.fileno(), select.EPOLLIN)

    def begin(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: None is to be had; the socket listens all the same.
        """
        threading.Thread(target=self._work, name="early", daemon=True).start()

    def hand_over(self) -> list[Accepted]:
        """Answer nobody any more; return the accepted sockets whose clients wait for an answer.

        The socket goes on listening: whoever connects in between waits with the kernel.
        """
        if not self._is_over.is_set():
            os.eventfd_write(self._end, 1)
            self._is_over.wait()
        waiting, self._waiting = self._waiting, []
        return waiting

    # --- in the thread

    def _work(self) -> None:
        try:
            while not self._turn():
                pass
            self._let_go()
        finally:
            self._is_over.set()
        while self._clients:  # Those who have been answered and may yet send something.
            self._turn()
        self._epoll.close()

    def _let_go(self) -> None:
        for descriptor in (self._listening.fileno(), self._end):
            self._epoll.unregister(descriptor)
        os.close(self._end)
        for descriptor, client in list(self._clients.items()):
            if not client.is_answered:
                self._epoll.unregister(descriptor)
                del self._clients[descriptor]
                self._waiting.append((client.sock, client.peer))

    def _turn(self) -> bool:
        """Serve whoever can be, and give up whoever is too late; True at the end."""
        is_over = False
        for descriptor, _events in self._epoll.poll(LOOK_SECONDS):
            if descriptor == self._end:
                is_over = True
            elif descriptor == self._listening.fileno():
                self._accept_some()
            elif descriptor in self._clients:  # Else it had to leave for somebody who has just come.
                self._on_readable(self._clients[descriptor])
        now = time.monotonic()
        for client in list(self._clients.values()):
            if now - client.since >= client.seconds(self._patience) and not self._put_off(client):
                self._drop(client)
        return is_over

    def _accept_some(self) -> None:
        for _ in range(MAX_ACCEPTED_AT_ONCE):
            try:
                sock, peer = self._listening.accept()
            except BlockingIOError:
                return
            except OSError:  # They are gone again, or there are no descriptors.
                if not self._leave_room():
                    time.sleep(SHORT_SECONDS)
                return
            if len(self._clients) >= self._most:
                self._leave_room()
            client = self._clients[sock.fileno()] = _Client(sock, peer, time.monotonic())
            try:
                sock.setblocking(False)
                self._epoll.register(sock.fileno(), HEARD)
            except OSError:  # The machine is short of what the kernel needs for it.
                self._drop(client)

    def _leave_room(self) -> bool:
        """Hang up on whoever has been here longest; False where nobody is."""
        for client in self._clients.values():
            self._put_off(client)
            self._drop(client)
            return True
        return False

    def _put_off(self, client: _Client) -> bool:
        """Ask a held client to come again; False where it is not held, or cannot be reached."""
        if client.is_held and not client.is_answered:
            with suppress(OSError):
                self._send(client, client.sock.recv(HEAD_BYTES, socket.MSG_PEEK))
                return True
        return False

    def _on_readable(self, client: _Client) -> None:
        try:
            if not client.is_answered:
                self._answer(client)
            if client.is_answered:
                self._read_rest(client)
        except BlockingIOError:  # There is no more for now.
            pass
        except OSError:
            self._drop(client)

    def _answer(self, client: _Client) -> None:
        """Answer whoever has sent a whole head; others say more, or leave."""
        head = client.sock.recv(HEAD_BYTES, socket.MSG_PEEK)
        if not head:
            self._drop(client)
        elif client.is_held:
            pass  # More of its body, which is the service's to read.
        elif self._answers.may_wait(head):
            client.is_held, client.since = True, time.monotonic()
        elif b"\r\n\r\n" in head or len(head) == HEAD_BYTES:
            self._send(client, head)

    def _send(self, client: _Client, head: bytes) -> None:
        client.sock.recv(len(head))
        client.sock.send(self._answers.to(head))
        client.sock.shutdown(socket.SHUT_WR)
        client.is_answered, client.since = True, time.monotonic()

    def _read_rest(self, client: _Client) -> None:
        """Read what comes after an answer, until the client hangs up or has sent more than is honest."""
        for _ in range(MAX_PIECES):
            if not client.sock.recv(PIECE_BYTES):
                break
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._clients.pop(client.sock.fileno(), None)
        client.sock.close()


def answer_early(listening: socket.socket, settings: Settings) -> Early | None:
    """Have somebody answer from now on; None where the machine is too short of something for that."""
    with suppress(OSError, RuntimeError):
        early = Early(listening, settings)
        early.begin()
        return early
    return None
