"""A blocking TLS server that says everything and hangs up at once, as fast servers do."""

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self


class HastyOrigin:
    """Serves one body to everybody, then closes the socket without waiting for anybody's farewell.

    asyncio's own TLS server says goodbye and waits; most servers of the world do not.

    Args:
        data: The body of a good answer.
        says: Sent instead of a good answer.
        holds: Keep the connection until the other end really is gone, and ignore its farewell.
    """

    def __init__(
        self, data: bytes, tls: ssl.SSLContext, *, says: bytes | None = None, holds: bool = False
    ) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        self._says = head + data if says is None else says
        self._holds = holds
        self._tls = tls
        self._listener = socket.socket()

    def __enter__(self) -> Self:
        """Listen on a free port, in a thread."""
        self._listener.bind((self.host, 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                connection = self._tls.wrap_socket(accepted, server_side=True)
                connection.recv(65536)
                connection.sendall(self._says)
                self._end(connection)

    def _end(self, connection: ssl.SSLSocket) -> None:
        if not self._holds:
            connection.close()
            return
        with socket.socket(fileno=connection.detach()) as held:
            # Below TLS: a farewell in there is ignored, only the end of the connection counts.
            while held.recv(65536):
                pass
