"""A probe's connection: its head is there, its answer is small, and no transport has to be made for it.

What asks how the service is must not wait for the passes of the loop that a transport takes to be made.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fetcher.api.inbound.connection import Connection
from fetcher.api.inbound.door import calls
from fetcher.api.inbound.door.at_once import run_at_once

# One request of nothing but a head that has no meaning beside it; all other ways to ask take the usual way.
PROBE = re.compile(rb"GET /(?:healthz|readyz) HTTP/1\.[01]\r\n(?:[^\r\n]+\r\n)*\r\n")
UNUSUAL = re.compile(
    rb"\n(?:content-length:(?![ \t]*0[ \t]*\r)|content-length[ \t]"
    rb"|(?:transfer-encoding|upgrade|expect)[ \t]*:)",
    re.IGNORECASE,
)

AT_ONCE = b"/healthz"  # Asks neither the index nor the store.


def is_probe(head: bytes) -> bool:
    """Return whether a head, with all that has come behind it, is one that may be answered at the door."""
    return PROBE.fullmatch(head) is not None and UNUSUAL.search(head) is None


class ProbeTransport(asyncio.Transport):
    """A transport for one answer, which goes to the kernel in one piece, or not at all.

    Nothing is read: the request is there. That the client is gone shows only at the answer.

    Args:
        back: Takes the socket of a client that may ask again.
    """

    def __init__(self, sock: socket.socket, back: Callable[[], None]) -> None:
        super().__init__()
        self._sock = sock
        self._back = back
        self._unsent = b""
        self._is_closing = False
        self.protocol: Connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - asyncio's own arguments
        """Return that nothing is known: asking the kernel lets other threads have the interpreter."""
        return default

    def is_closing(self) -> bool:
        """Return whether nothing more is sent."""
        return self._is_closing

    def write(self, data: Any) -> None:
        """Send a piece, when all of the answer is there."""
        self._unsent += data

    def get_write_buffer_size(self) -> int:
        """Return that nothing waits for the client: the kernel has taken all of it, or it is given up."""
        return 0

    def pause_reading(self) -> None:
        """Do nothing: nothing is read."""

    def resume_reading(self) -> None:
        """Do nothing likewise."""

    def close(self) -> None:
        """Send what there is, and hang up."""
        if not self._is_closing:
            with suppress(OSError):
                calls.send(self._sock, self._unsent)
            self.abort()

    def abort(self) -> None:
        """Hang up."""
        if not self._is_closing:
            self._is_closing = True
            calls.close(self._sock)
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def hand_back(self) -> None:
        """Send what there is, and let the client ask again."""
        with suppress(OSError):
            if calls.send(self._sock, self._unsent) == len(self._unsent):
                self._is_closing = True
                self.protocol.connection_lost(None)
                self._back()
                return
        self.abort()


class Probe(Connection):
    """The connection of a probe, for one request."""

    transport: ProbeTransport

    def _run(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have the application answer, at once where it can: a task begins in a later pass of the loop."""
        if cycle.scope["raw_path"] != AT_ONCE:
            super()._run(cycle, app)
        elif (task := run_at_once(cycle.run_asgi(app))) is not None:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """Give the client back, where it may ask again."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self.transport.hand_back()
