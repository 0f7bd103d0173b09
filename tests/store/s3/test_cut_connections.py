"""A server of buckets that closes a connection at the moment at which the next request takes it."""

import asyncio
import gc
import logging
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.place import Place
from tests.lab.bucket_store import credentials

PART = bytes(100_000)
ANSWER = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 0\r\n\r\n'


class Closing:
    """Takes parts of uploads on one connection after the other, and closes one when it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.parts = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def close_all(self) -> None:
        """Close what is open; it has been closed when this returns."""
        while self._open:
            with suppress(OSError):  # It is closed already.
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                self._open.append(connection)
                with suppress(OSError), connection, connection.makefile("rb") as stream:
                    while self._take(connection, stream):
                        pass

    def _take(self, connection: socket.socket, stream) -> bool:
        line = stream.readline()
        length, waits = 0, False
        while (header := stream.readline().lower()) not in {b"", b"\r\n"}:
            if header.startswith(b"content-length:"):
                length = int(header.partition(b":")[2])
            waits = waits or header.startswith(b"expect:")
        if not line:
            return False
        if waits:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(stream.read(length)) < length:
            return False
        self.parts += 1
        connection.sendall(ANSWER)
        return True

    @contextmanager
    def running(self) -> Iterator["Closing"]:
        """Serve within the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.close_all()
            self._thread.join()


@pytest.fixture
def server() -> Iterator[Closing]:
    with Closing().running() as found:
        yield found


@pytest.fixture
def bucket(server: Closing, tmp_path: Path) -> Iterator[Bucket]:
    place = Place(
        bucket="images",
        endpoint=server.endpoint,
        credentials_file=str(credentials(tmp_path)),
        patience_seconds=5,
    )
    made = Bucket(place)
    made.open()
    yield made
    made.close()


def test_a_part_whose_connection_is_just_closed_is_sent_again_without_a_trace(
    bucket: Bucket, server: Closing, caplog: pytest.LogCaptureFixture
) -> None:
    """The request has the connection from the pool, and is about to write, when its end is read from it."""

    async def send() -> str:
        return await bucket.put_part("k", "u", 1, PART)

    async def send_beside_the_end() -> str:
        [kept] = server._open
        before = asyncio.get_running_loop().create_task(send())  # Its first step comes before what is read.
        with socket.fromfd(_peer_of(kept), socket.AF_INET, socket.SOCK_STREAM) as ours:
            server.close_all()
            assert select.select([ours], [], [], 60)[0]
        return await before

    assert bucket.run(send()) == '"1"'
    with caplog.at_level(logging.ERROR, "asyncio"):
        assert bucket.run(send_beside_the_end()) == '"1"'
        bucket.run(collected())
    assert server.parts == 2
    assert [record.getMessage() for record in caplog.records] == []


async def collected() -> None:
    """Have whatever nobody asked for be told of."""
    await asyncio.sleep(0)
    gc.collect()


def _peer_of(theirs: socket.socket) -> int:
    """Find this process's end of a connection."""
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            number = int(path.name)
            with socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM) as found:
                if (
                    found.getsockname() == theirs.getpeername()
                    and found.getpeername() == theirs.getsockname()
                ):
                    return number
    raise AssertionError("there is no such connection")
