"""Group I of docs/attacks.md, row I18: the memory of all bodies together."""

import asyncio
from pathlib import Path

import pytest

from fetcher.api.inbound.bodies import BodyRoom
from fetcher.errors import TooManyBodies
from tests.attacks.test_inbound import GET, POST, Wire, _connect, problem_of, rest, wire
from tests.service import Running

MOST = 262_144
RULES = {"server": {"max_request_bytes": MOST}, "inbound": {"max_body_bytes": MOST, "stall_seconds": 3.0}}
HOARDERS = 12


async def hoard(service: Running, share: int) -> list[Wire]:
    """Clients that each send so much of a body as large as it may be, and then stand still."""
    clients = []
    for _ in range(HOARDERS):
        reader, writer = await _connect(service)
        writer.write(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % MOST + b" " * share)
        await writer.drain()
        clients.append((reader, writer))
    return clients


async def test_i18_bodies_that_stand_still_give_way(tmp_path: Path) -> None:
    """Twelve that hoard the room for bodies stop nobody: the largest hears 503 when others need room."""
    async with Running(tmp_path, **RULES) as service:
        hoarders = await hoard(service, MOST - 1)
        for _ in range(3):
            status, document, _headers = await service.call("POST", "/imports", json={"url": "ftp://a/"})
            assert (status, document["code"]) == (400, "url-invalid")
        answers = await asyncio.gather(*(rest(reader) for reader, _writer in hoarders))
        told = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503")]
        assert len(told) >= HOARDERS - 1  # One at most has room, and is ended by its deadline.
        for answer in told:
            assert b"retry-after: 5" in answer.lower()
            assert problem_of(answer)["code"] == "too-many-bodies"
        for _reader, writer in hoarders:
            writer.close()
        async with wire(service) as (reader, writer):  # All of the room is there again.
            writer.write(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % MOST + b" " * MOST)
            assert problem_of(await rest(reader))["code"] == "request-invalid"


async def test_i18_small_bodies_never_give_way_to_large_ones(tmp_path: Path) -> None:
    """A small body that is slow is not the one that has to go for bodies without number."""
    async with Running(tmp_path, **RULES) as service:
        reader, slow = await _connect(service)
        body = b'{"url": "ftp://a/"}'
        slow.write(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5])
        hoarders = await hoard(service, MOST - 100)
        async with wire(service) as (other, asking):
            asking.write(GET + b"Connection: close\r\n\r\n")
            await rest(other)
        slow.write(body[5:])
        assert problem_of(await rest(reader))["code"] == "url-invalid"
        for _reader, writer in [*hoarders, (reader, slow)]:
            writer.close()


async def test_i18_what_is_being_answered_counts() -> None:
    """A body that is complete holds its room until its request is answered; it is not taken from it."""
    room = BodyRoom(lambda: 100)
    first, second = room.body(), room.body()
    async with first.coming():
        first.take(80)
    async with second.coming():
        second.take(20)
        with pytest.raises(TooManyBodies):
            second.take(1)
    first.release()
    second.release()
    assert room.held_bytes == 0


async def test_i18_a_body_that_gave_way_reads_no_more() -> None:
    """The largest body is told, wherever it waits; what it held is there for the others at once."""
    room = BodyRoom(lambda: 100)
    large, small = room.body(), room.body()
    is_waiting = asyncio.Event()

    async def read() -> None:
        async with large.coming():
            large.take(90)
            is_waiting.set()
            await asyncio.Event().wait()

    reading = asyncio.create_task(read())
    await is_waiting.wait()
    async with small.coming():
        small.take(50)
        assert room.held_bytes == 50
        with pytest.raises(TooManyBodies):
            await reading
        with pytest.raises(TooManyBodies):
            large.take(1)
    assert not small.held_bytes - 50
    with pytest.raises(TimeoutError):  # A deadline of the body's own reader stays what it is.
        async with small.coming():
            raise TimeoutError
