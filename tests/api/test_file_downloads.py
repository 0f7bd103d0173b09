"""Downloads that the kernel sends from the blob: framing, clients that leave or dawdle, broken files."""

import asyncio
import errno
import os
import re
import selectors
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from fetcher.api.inbound.connection import Connection
from fetcher.api.inbound.file_sender import SLICE_BYTES, FileSender, Sending
from fetcher.errors import StoreFailed
from tests.images import raw
from tests.lab import Origin, behaviours
from tests.service import Running

BODY = raw(12_000_000, seed=21)
PATIENT_SECONDS = 60
SOON = 0.3
HURRIED = {"stall_seconds": SOON, "min_bytes_per_second": 65_536}


@asynccontextmanager
async def service_with_image(tmp_path: Path, **sections: Any) -> AsyncIterator[tuple[Running, str]]:
    """A service with one image of `BODY`, and the path of its bytes."""
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(tmp_path, origin, **sections) as service,
    ):
        image = (await service.run(url=origin.url("/x")))["image_id"]
        yield service, f"/v2/images/{image}/file"


def request(path: str, *fields: str) -> bytes:
    """A GET of a path."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


async def connect(service: Running, receive_bytes: int = 65_536) -> socket.socket:
    """A connection whose client takes little before it reads."""
    host, port = service.base.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    return sock


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next answer of a connection: status and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: ([0-9]+)", head, re.IGNORECASE)
    assert length is not None
    return int(head.split()[1]), await reader.readexactly(int(length[1]))


def sender_of(service: Running) -> FileSender:
    return service._server._files


def open_blobs(service: Running) -> list[Path]:
    """The blobs that this process has open."""
    found = []
    for name in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # Closed meanwhile.
            target = name.readlink()
            if target.is_relative_to(service.data / "blobs"):
                found.append(target)
    return found


async def until_let_go(service: Running) -> None:
    """Wait until no connection and no blob is open any more."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while len(service.crowd) or open_blobs(service) or sender_of(service)._sendings:
            await asyncio.sleep(0.01)


async def received_until_cut(sock: socket.socket) -> int:
    """Count what had been sent to a client before its connection was cut."""
    count = 0
    with suppress(ConnectionResetError):
        while got := await asyncio.get_running_loop().sock_recv(sock, 1_048_576):
            count += len(got)
    return count


async def sent_bytes(service: Running) -> float:
    """What the metrics say of the bytes of downloads."""
    async with service.client.get("/metrics") as got:
        text = await got.text()
    found = re.search(
        r'^fetcher_sent_bytes_total\{route="/v2/images/\{id\}/file"\} (\S+)$', text, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


async def test_answers_of_one_connection_follow_each_other(tmp_path: Path) -> None:
    """Whole, part, document and whole again, asked for at once, come whole and in order on one connection."""
    async with service_with_image(tmp_path) as (service, path):
        host, port = service.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        asked = [
            request(path),
            request(path, "Range: bytes=7-5000006"),
            request("/healthz"),
            request(path, "Range: bytes=-1"),
            request(path),
        ]
        writer.write(b"".join(asked))
        async with asyncio.timeout(PATIENT_SECONDS):
            found = [await answer(reader) for _ in asked]
        assert [status for status, _body in found] == [200, 206, 200, 206, 200]
        assert found[0][1] == found[4][1] == BODY
        assert found[1][1] == BODY[7:5_000_007]
        assert found[3][1] == BODY[-1:]
        assert await sent_bytes(service) == 2 * len(BODY) + 5_000_001
        writer.close()
        await service.client.close()
        await until_let_go(service)


async def test_the_kernel_sends_them(tmp_path: Path) -> None:
    """No byte of the body passes through this process: all of them are sent by sendfile."""
    async with service_with_image(tmp_path) as (service, path):
        counted = []

        def counting(out: int, file: int, offset: int, count: int) -> int:
            counted.append(os.sendfile(out, file, offset, count))
            return counted[-1]

        sender_of(service)._sendfile = counting
        async with service.client.get(path) as got:
            assert await got.read() == BODY
        assert sum(counted) == len(BODY)


async def test_a_server_that_cannot_send_files_reads_them(tmp_path: Path) -> None:
    """Without the extension in the scope the same bytes come as messages."""
    async with service_with_image(tmp_path) as (service, path):
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        async def receive() -> Any:
            await asyncio.get_running_loop().create_future()  # The client stays.

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
        }
        await service.service.app(scope, receive, send)
        assert {message["type"] for message in messages[1:]} == {"http.response.body"}
        assert b"".join(message["body"] for message in messages[1:]) == BODY


async def test_a_client_that_reads_nothing_is_given_up(tmp_path: Path) -> None:
    """Its connection, its file and the blob are let go after the time for standing still."""
    async with service_with_image(tmp_path, inbound=HURRIED) as (service, path):
        with await connect(service, 4096) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, request(path))
            async with asyncio.timeout(PATIENT_SECONDS):
                while not sender_of(service)._sendings:
                    await asyncio.sleep(0.01)
            await service.client.close()
            await until_let_go(service)
            assert await received_until_cut(sock) < len(BODY)


async def test_a_slow_client_above_the_least_rate_gets_all(tmp_path: Path) -> None:
    """Taking longer than the time for standing still is no standing still."""
    async with service_with_image(tmp_path, inbound=HURRIED) as (service, path):
        loop = asyncio.get_running_loop()
        began = loop.time()
        with await connect(service, 65_536) as sock:
            await loop.sock_sendall(sock, request(path, "Connection: close"))
            found = bytearray()
            async with asyncio.timeout(PATIENT_SECONDS):
                while piece := await loop.sock_recv(sock, 262_144):
                    found += piece
                    await asyncio.sleep(0.02)
        assert loop.time() - began > 2 * SOON
        assert found.partition(b"\r\n\r\n")[2] == BODY


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_a_client_that_leaves_leaves_nothing_open(tmp_path: Path, is_reset: bool) -> None:
    """A hang-up in the middle ends the sending; what was not sent is not counted as sent."""
    async with service_with_image(tmp_path) as (service, path):
        loop = asyncio.get_running_loop()
        sock = await connect(service, 4096)
        await loop.sock_sendall(sock, request(path))
        async with asyncio.timeout(PATIENT_SECONDS):
            while all(sending.left == len(BODY) for sending in sender_of(service)._sendings.values()):
                await asyncio.sleep(0.01)
        if is_reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        async with asyncio.timeout(PATIENT_SECONDS):
            while open_blobs(service) or sender_of(service)._sendings:
                await asyncio.sleep(0.01)
        assert 0 < await sent_bytes(service) < len(BODY)
        await service.client.close()
        await until_let_go(service)


async def test_a_stop_ends_downloads_that_go_on_too_long(tmp_path: Path) -> None:
    """SIGTERM waits for open downloads as long as it was told, then hangs up, and no descriptor is left."""
    async with service_with_image(tmp_path) as (service, path):
        with await connect(service, 4096) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, request(path))
            async with asyncio.timeout(PATIENT_SECONDS):
                while not sender_of(service)._sendings:
                    await asyncio.sleep(0.01)
            service._server.should_exit = True
            async with asyncio.timeout(PATIENT_SECONDS):
                await service._task
            assert open_blobs(service) == []
            assert not any(thread.name.startswith("sender-") for thread in threading.enumerate())


async def test_a_file_that_got_shorter_cuts_the_answer_off(tmp_path: Path) -> None:
    """The client gets fewer bytes than the head says, and knows; nothing is made up in their stead."""
    async with service_with_image(tmp_path) as (service, path):
        (blob,) = (service.data / "blobs").glob("*/*")
        loop = asyncio.get_running_loop()
        with await connect(service, 4096) as sock:
            await loop.sock_sendall(sock, request(path))
            found = bytearray(await loop.sock_recv(sock, 1000))
            os.truncate(blob, SLICE_BYTES)
            async with asyncio.timeout(PATIENT_SECONDS):
                while piece := await loop.sock_recv(sock, 262_144):
                    found += piece
        head, _, body = bytes(found).partition(b"\r\n\r\n")
        assert f"content-length: {len(BODY)}".encode() in head.lower()
        assert len(body) < len(BODY)
        assert BODY.startswith(body[:SLICE_BYTES])
        assert (await service.get("/healthz"))["status"] == "ok"
        async with service.client.get(path) as got:
            assert got.status == 503


async def broken_off(service: Running, path: str, meanwhile: Callable[[], None] = lambda: None) -> bytes:
    """What a client gets of an answer that breaks off; `meanwhile` happens once it has begun."""
    with await connect(service, 4096) as sock:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, request(path))
        found = bytearray(await loop.sock_recv(sock, 1000))
        meanwhile()
        with suppress(ConnectionResetError):
            async with asyncio.timeout(PATIENT_SECONDS):
                while piece := await loop.sock_recv(sock, 262_144):
                    found += piece
    return bytes(found).partition(b"\r\n\r\n")[2]


def in_mid_answer(out: int, file: int, offset: int, count: int) -> int:
    """Send from a disk that fails behind the first mebibyte."""
    if offset >= 1_048_576:
        raise OSError(errno.EIO, "the disk is broken")
    return os.sendfile(out, file, offset, min(count, 1_048_576 - offset))


async def test_a_disk_that_fails_in_mid_answer_is_one_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is too late for another status: the connection breaks off, and nothing else is the matter."""
    async with service_with_image(tmp_path) as (service, path):
        await sender_of(service).close()
        service._server._files = FileSender(in_mid_answer)
        await service.client.close()
        with capture_logs() as logs:
            assert len(await broken_off(service, path)) < len(BODY)
    (line,) = [line for line in logs if line["event"] in {"answer.broken_off", "request.fault"}]
    assert (line["event"], line["code"]) == ("answer.broken_off", "store-failed")
    assert not [record for record in caplog.records if record.exc_info]


class Unsent(Connection):
    """A connection that sends no files by itself, as one over TLS."""

    def on_headers_complete(self) -> None:
        """Say so in the scope of each request."""
        self.scheme = "https"
        super().on_headers_complete()


async def test_bytes_that_are_missing_in_mid_answer_are_one_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that gives fewer bytes than the head of the answer says."""
    monkeypatch.setattr("fetcher.api.inbound.server.Connection", Unsent)
    async with service_with_image(tmp_path) as (service, path):
        (blob,) = (service.data / "blobs").glob("*/*")
        await service.client.close()
        with capture_logs() as logs:
            found = await broken_off(service, path, lambda: os.truncate(blob, 3_000_000))
    assert len(found) < len(BODY)
    (line,) = [line for line in logs if line["event"] in {"answer.broken_off", "request.fault"}]
    assert (line["event"], line["code"]) == ("answer.broken_off", "bytes-damaged")
    assert not [record for record in caplog.records if record.exc_info]


class Short(FileSender):
    """A sender for which the process has no descriptor, twice."""

    asked = 0

    def begin(self, connection: int, file: int, offset: int, count: int) -> Sending | None:
        """Begin at the third time."""
        self.asked += 1
        return super().begin(connection, file, offset, count) if self.asked > 2 else None


async def test_a_download_waits_for_a_descriptor(tmp_path: Path) -> None:
    """A process without descriptors does not break off the answer that it has begun."""
    async with service_with_image(tmp_path) as (service, path):
        await sender_of(service).close()
        service._server._files = Short()
        await service.client.close()
        with await connect(service) as sock:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, request(path, "Connection: close"))
            found = bytearray()
            async with asyncio.timeout(PATIENT_SECONDS):
                while piece := await loop.sock_recv(sock, 1_048_576):
                    found += piece
            assert found.partition(b"\r\n\r\n")[2] == BODY


async def to_the_end(sender: FileSender, path: Path) -> bytes:
    """Send a whole file over a pair of sockets, and read it there."""
    ours, theirs = socket.socketpair()
    with ours, theirs, path.open("rb") as file:
        ours.setblocking(False)
        sending = sender.begin(ours.fileno(), file.fileno(), 0, path.stat().st_size)
        assert sending is not None

        def read() -> bytes:
            return b"".join(iter(lambda: theirs.recv(1_048_576), b""))

        reading = asyncio.create_task(asyncio.to_thread(read))
        try:
            assert await sender.finish(sending)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            found = await reading
    return found


async def test_a_file_system_without_sendfile_is_read(tmp_path: Path) -> None:
    """What the kernel cannot send from is copied in the same thread."""

    def refuse(_out: int, _file: int, _offset: int, _count: int) -> int:
        raise OSError(errno.EINVAL, "not here")

    (tmp_path / "file").write_bytes(BODY)
    sender = FileSender(refuse)
    assert await to_the_end(sender, tmp_path / "file") == BODY
    await sender.close()


async def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    """An error of the disk in mid-answer is the store's, not the client's."""

    def fail(out: int, file: int, offset: int, count: int) -> int:
        if offset:
            raise OSError(errno.EIO, "the disk is broken")
        return os.sendfile(out, file, offset, count)

    (tmp_path / "file").write_bytes(BODY)
    sender = FileSender(fail)
    with pytest.raises(StoreFailed, match="the disk is broken"):
        await to_the_end(sender, tmp_path / "file")
    await sender.close()


async def test_fifty_at_once_share_evenly(tmp_path: Path) -> None:
    """When the first of fifty equal clients has everything, nobody has less than half."""
    (tmp_path / "file").write_bytes(BODY)
    sender = FileSender()
    pairs = [socket.socketpair() for _ in range(50)]
    with (tmp_path / "file").open("rb") as file:
        sendings = []
        for ours, theirs in pairs:
            ours.setblocking(False)
            theirs.setblocking(False)
            sendings.append(sender.begin(ours.fileno(), file.fileno(), 0, len(BODY)))
        read = await asyncio.to_thread(_read_in_turn, [theirs for _ours, theirs in pairs])
        assert min(read) >= len(BODY) // 2
        for ours, theirs in pairs:
            theirs.close()
            ours.close()
        for sending in sendings:
            assert sending is not None
            await sender.finish(sending)
    await sender.close()


def _read_in_turn(socks: list[socket.socket]) -> list[int]:
    """Read whatever is there, a piece from each in turn, until one has all; how much each has."""
    read = [0] * len(socks)
    with selectors.DefaultSelector() as selector:
        for number, sock in enumerate(socks):
            selector.register(sock, selectors.EVENT_READ, number)
        while max(read) < len(BODY):
            for key, _events in selector.select(PATIENT_SECONDS):
                read[key.data] += len(socks[key.data].recv(65_536))
    return read


async def test_one_alone_goes_on_while_its_client_takes_bytes(tmp_path: Path) -> None:
    """Nobody stands behind it, so it does not line up again for each slice."""
    (tmp_path / "file").write_bytes(bytes(4 * SLICE_BYTES))
    slices: list[int] = []
    turns = 0

    def send(_out: int, _file: int, offset: int, count: int) -> int:
        slices.append(offset)
        return count  # As to a client that takes all there is.

    sender = FileSender(send)
    take_turn = sender._take_turn

    def counted(sending: Sending) -> None:
        nonlocal turns
        turns += 1
        take_turn(sending)

    sender._take_turn = counted  # type: ignore[method-assign] # counted, and then as it was
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "file").open("rb") as file:
        sending = sender.begin(ours.fileno(), file.fileno(), 0, 4 * SLICE_BYTES)
        assert sending is not None
        assert await sender.finish(sending)
    await sender.close()
    assert (slices, turns) == ([number * SLICE_BYTES for number in range(4)], 1)
