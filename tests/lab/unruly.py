"""A server of buckets that cannot be relied on: a proxy before the lab's that answers 5xx, cuts and resets.

with unruly(weed) as server:
    server.tricks.append(Trick("busy", "PUT", "objects/"))
    ... server.endpoint ...

A trick is played on the first request that it fits, and is used up then.
"""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from tests.lab.bucket import BucketServer

# busy: 503 SlowDown; broken: 500; refused: 403; reset: before the request goes on; lost: the request is
# carried out and its answer is not given; cut: half of the answer's body comes; slow: it comes late.
Kind = Literal["busy", "broken", "skewed", "no-bucket", "full", "reset", "lost", "cut", "slow"]
SAYS: dict[str, tuple[int, str]] = {
    "busy": (503, "SlowDown"),
    "broken": (500, "InternalError"),
    "skewed": (403, "RequestTimeTooSkewed"),
    "no-bucket": (404, "NoSuchBucket"),
    "full": (507, "InsufficientStorage"),
}
SLOW_SECONDS = 0.1


@dataclass
class Trick:
    """What happens to the next request that it fits.

    Args:
        path: Is in the path and query of the request.
        count: Requests that it is played on.
        skip: Fitting requests that are left alone before.
    """

    kind: Kind
    method: str = ""
    path: str = ""
    count: int = 1
    skip: int = 0


@dataclass
class Unruly:
    """A proxy that runs.

    Attributes:
        seen: Method and path of each request that came.
    """

    origin: BucketServer
    port: int = 0
    host: str = "127.0.0.1"
    tricks: list[Trick] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        """Return what [bucket] must say to go through it."""
        return f"http://{self.host}:{self.port}"

    def choose(self, method: str, path: str) -> Kind | None:
        """Return what is to happen to a request."""
        with self.lock:
            self.seen.append((method, path))
            for trick in self.tricks:
                if trick.method in {"", method} and trick.path in path:
                    if trick.skip:
                        trick.skip -= 1
                        continue
                    trick.count -= 1
                    if not trick.count:
                        self.tricks.remove(trick)
                    return trick.kind
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    unruly: Unruly

    def handle_expect_100(self) -> bool:
        """Say nothing: the body comes all the same."""
        return super().handle_expect_100()

    def handle_one_request(self) -> None:
        """Take a request, and play the trick that fits it."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self._body()
        kind = self.unruly.choose(self.command, self.path)
        if kind == "reset":
            self._reset()
        elif kind in SAYS:
            status, code = SAYS[kind]
            words = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
            self._answer(status, [], b"" if self.command == "HEAD" else words, len(words))
        else:
            self._forward(body, kind)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raise NotImplementedError
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _forward(self, body: bytes, kind: Kind | None) -> None:
        origin = self.unruly.origin
        with closing(http.client.HTTPConnection(origin.host, origin.port, timeout=60)) as there:
            there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"expect", "connection"}:
                    there.putheader(name, value)
            there.endheaders(body)
            answer = there.getresponse()
            data = answer.read()
        if kind == "lost":
            self._reset()
            return
        if kind == "slow":
            time.sleep(SLOW_SECONDS)
        size = int(answer.getheader("Content-Length", len(data)))
        fields = [one for one in answer.getheaders() if one[0].lower() not in HOP_BY_HOP]
        self._answer(answer.status, fields, data[: len(data) // 2] if kind == "cut" else data, size)
        if kind == "cut":
            self._reset()

    def _answer(self, status: int, fields: list[tuple[str, str]], body: bytes, size: int) -> None:
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


HOP_BY_HOP = {"content-length", "connection", "transfer-encoding"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients hang up."""


@contextmanager
def unruly(origin: BucketServer) -> Iterator[Unruly]:
    """Run one."""
    found = Unruly(origin)
    handler = type("Handler", (_Handler,), {"unruly": found})
    server = _Server(("127.0.0.1", 0), handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
