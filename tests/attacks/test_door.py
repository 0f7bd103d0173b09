"""Rows I01, I06 and I29: whoever says nothing, or half a head, costs a descriptor and no more."""

import asyncio
import os
import select
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fetcher.api.inbound.door import calls
from fetcher.api.inbound.door.anteroom import HALF_BYTES, HALF_HEAD
from fetcher.api.inbound.door.at_once import run_at_once
from fetcher.api.inbound.door.probe import is_probe
from tests.attacks.test_inbound import GET, HURRIED, PATIENT_SECONDS, POST, problem_of, rest, wire
from tests.service import Running

END = b"\r\n"


async def answers(reader: asyncio.StreamReader, count: int) -> list[bytes]:
    """Read so many answers that have a length, and no more."""
    found = []
    async with asyncio.timeout(PATIENT_SECONDS):
        for _ in range(count):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            found.append(head + await reader.readexactly(length))
    return found


async def test_i29_whoever_has_said_no_head_has_no_transport(tmp_path: Path) -> None:
    """Silence and half heads are all in the anteroom; the rest of one makes a request of it."""
    async with Running(tmp_path) as service, AsyncExitStack() as stack:
        server = service._server
        for said in (b"", b"GET", GET, GET + b"X: ", b"GET /" + b"a" * 1000) * 20:
            _reader, writer = await stack.enter_async_context(wire(service))
            writer.write(said)
        reader, writer = await stack.enter_async_context(wire(service))
        writer.write(b"GET /limits HTTP/1.1\r\n")
        await service.get("/healthz")  # Who came before it is in by then.
        assert len(server._anteroom) >= 101
        assert len(server.server_state.connections) <= 1
        writer.write(b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", b"GET /\x00", b"\r\nGET / HTTP/1.1\r\n", b"get "])
def test_i29_what_begins_no_usual_request_is_left_to_the_parser(said: bytes) -> None:
    """Nothing is judged at the door: whatever may be wrong is refused by who always did."""
    assert HALF_HEAD.fullmatch(said) is None


@pytest.mark.parametrize(
    "whole", [GET + END, POST + b"Content-Length: 2\r\n\r\n{}", b"GET / HTTP/1.0\r\n\r\n"]
)
def test_i29_every_part_of_a_head_waits_and_no_whole_one_does(whole: bytes) -> None:
    """Wherever an honest head is cut, the first part waits, but for the last byte of its end."""
    end = whole.index(b"\r\n\r\n") + 4
    for length in range(1, end - 1):
        assert HALF_HEAD.fullmatch(whole[:length])
    for length in range(end, len(whole) + 1):
        assert not HALF_HEAD.fullmatch(whole[:length])


async def test_i29_a_head_in_pieces_is_one_request(tmp_path: Path) -> None:
    """In bytes, past the length that the anteroom keeps, with a body behind it: nothing is lost."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        body = b'{"url": "ftp://x/"}'
        head = (
            POST + b"X: " + b"a" * (2 * HALF_BYTES) + b"\r\nConnection: close\r\nContent-Length: 19\r\n\r\n"
        )
        for begin in range(0, len(head + body), 7):
            writer.write((head + body)[begin : begin + 7])
            await asyncio.sleep(0)
        assert problem_of(await rest(reader))["code"] == "url-invalid"


async def test_i29_a_probe_may_ask_again_and_anything_else(tmp_path: Path) -> None:
    """A kept connection has its answers in order: probes at the door, others within, pipelined or not."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        for _ in range(3):
            writer.write(GET + END)
            (answer,) = await answers(reader, 1)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"x-openstack-request-id" in answer.lower()
        writer.write((GET + END) * 3)
        assert all(b'"ok"' in answer for answer in await answers(reader, 3))
        writer.write(b"GET /limits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + GET + END)
        limits, health = await answers(reader, 2)
        assert b'"limits"' in limits
        assert b'"ok"' in health


@pytest.mark.parametrize(
    "said",
    [
        GET + b"Content-Length: 4\r\n\r\n",
        GET + b"content-length : 0\r\n\r\n",
        GET + b"Expect: 100-continue\r\n\r\n",
        (GET + END) * 2,
    ],
)
def test_i29_what_has_more_than_a_head_is_no_probe(said: bytes) -> None:
    """A body, another protocol or a further request need a connection."""
    assert is_probe(GET + END)
    assert is_probe(GET + b"Content-Length: 0\r\n\r\n")
    assert not is_probe(said)


async def test_i29_a_probe_of_another_host_is_refused(tmp_path: Path) -> None:
    """The door has no rules of its own: the application judges whom a request is for."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n")
        assert problem_of(await rest(reader))["field"] == "Host"


async def test_i29_an_idle_prober_is_not_kept_for_ever(tmp_path: Path) -> None:
    """Between two probes a connection has the patience for idle ones; half a further head, that for heads."""
    async with Running(tmp_path, inbound=HURRIED) as service:
        async with wire(service) as (reader, writer):
            writer.write(GET + END)
            assert (await rest(reader)).count(b"HTTP/1.1 ") == 1
        async with wire(service) as (reader, writer):
            writer.write(GET + END)
            await answers(reader, 1)
            writer.write(GET)
            assert (await rest(reader)).startswith(b"HTTP/1.1 408")
        async with wire(service) as (reader, writer):
            writer.write(GET)
            writer.write_eof()  # The rest will never come.
            assert await rest(reader) == b""


async def test_i29_work_that_waits_for_nothing_is_done_at_once() -> None:
    """What waits all the same goes on as a task: with what comes, what is raised, and its end."""
    told: list[object] = []
    coming: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work(waits: bool) -> None:
        told.append("begun")
        if not waits:
            return
        await asyncio.sleep(0)
        told.append(await coming)
        try:
            await asyncio.Event().wait()
        finally:
            told.append("ended")

    assert run_at_once(work(waits=False)) is None
    assert told == ["begun"]
    task = run_at_once(work(waits=True))
    assert task is not None
    coming.set_result(7)
    while 7 not in told:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["begun", "begun", 7, "ended"]

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("its own")

    failing = run_at_once(fail())
    assert failing is not None
    with pytest.raises(ValueError, match="its own"):
        await failing


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_i29_calls_at_the_door_are_those_of_python(host: str) -> None:
    """Accepted, heard, answered and closed without giving the interpreter away: the same comes of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening, select.epoll() as epoll:
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            calls.accept(listening)
        with socket.create_connection(listening.getsockname()[:2]) as client:
            sock, peer = calls.accept(listening)
            assert peer == client.getsockname() == sock.getpeername()
            assert not os.get_blocking(sock.fileno())
            assert not os.get_inheritable(sock.fileno())
            with pytest.raises(BlockingIOError):
                calls.receive(sock)
            calls.watch(epoll, sock.fileno(), select.EPOLLIN)
            client.sendall(b"a" * (calls.PIECE_BYTES + 1))
            assert epoll.poll(PATIENT_SECONDS) == [(sock.fileno(), select.EPOLLIN)]
            found = b""
            while len(found) <= calls.PIECE_BYTES:
                found += calls.receive(sock)
            assert found == b"a" * (calls.PIECE_BYTES + 1)
            assert calls.send(sock, b"answer") == 6
            assert client.recv(100) == b"answer"
            client.shutdown(socket.SHUT_WR)
            epoll.poll(PATIENT_SECONDS)
            assert calls.receive(sock) == b""
            calls.close(sock)
            calls.close(sock)
            assert client.recv(100) == b""
            with pytest.raises(OSError, match="Bad file descriptor"):
                calls.send(sock, b"answer")
            with pytest.raises(OSError, match="Bad file descriptor"):
                calls.watch(epoll, -1, select.EPOLLIN)
