"""Group I of docs/attacks.md: clients that say nothing, too little, too much, or will not listen."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.service import Running

SOON = 0.3
PATIENT_SECONDS = 60
HURRIED = {"head_seconds": SOON, "idle_seconds": SOON, "stall_seconds": SOON}
GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /imports HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def wire(service: Running) -> AsyncIterator[Wire]:
    """A bare connection to the service."""
    host, port = service.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the service hangs up; a reset ends it too."""
    found = b""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            try:
                piece = await reader.read(65_536)
            except ConnectionError:
                return found
            if not piece:
                return found
            found += piece


def statuses(answers: bytes) -> list[bytes]:
    """The status of each answer."""
    return re.findall(rb"HTTP/1\.1 (\d{3})", answers)


def problem_of(answer: bytes) -> dict[str, Any]:
    """The problem document of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    return dict(json.loads(body))


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", b""),
        (b"GET", b"408"),
        (GET, b"408"),
        (GET + b"X: " + b"a" * 4000, b"408"),
        (b"\r\n", b"408"),
    ],
    ids=["nothing", "part of a line", "no end", "part of a field", "an empty line"],
)
async def test_i01_a_head_that_does_not_come_is_not_waited_for(
    tmp_path: Path, sent: bytes, said: bytes
) -> None:
    """Silence and half a head end at the deadline; who has said something hears why."""
    async with Running(tmp_path, inbound=HURRIED) as service, wire(service) as (reader, writer):
        writer.write(sent)
        answer = await rest(reader)
        assert said in answer.partition(b"\r\n")[0]
        if said:
            assert problem_of(answer)["code"] == "request-too-slow"


async def test_i01_a_head_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    """The deadline is for the head as a whole: a byte now and then does not put it off."""
    async with Running(tmp_path, inbound=HURRIED) as service, wire(service) as (reader, writer):
        drip = asyncio.create_task(_drip(writer, GET + b"X: " + b"a" * 10_000))
        answer = await rest(reader)
        drip.cancel()
        assert b"408" in answer.partition(b"\r\n")[0]


async def _drip(writer: asyncio.StreamWriter, text: bytes) -> None:
    for byte in text:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_i02_an_idle_connection_ends(tmp_path: Path) -> None:
    """Between two requests a connection is kept for a while, and not for ever."""
    async with Running(tmp_path, inbound=HURRIED) as service, wire(service) as (reader, writer):
        writer.write(GET + b"\r\n")
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "length", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
async def test_i03_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, length: bytes) -> None:
    """One byte of a hundred, in either framing: the request ends with a 408, and nothing was made."""
    async with Running(tmp_path, inbound=HURRIED) as service, wire(service) as (reader, writer):
        writer.write(POST + length)
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 408")
        assert problem_of(answer)["part"] == "body"
        assert (await service.get("/imports"))["imports"] == []


async def test_i03_a_body_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    """A body below the least rate uses up the time for standing still."""
    async with Running(tmp_path, inbound=HURRIED) as service, wire(service) as (reader, writer):
        writer.write(POST + b"Content-Length: 100000\r\n\r\n")
        drip = asyncio.create_task(_drip(writer, b" " * 10_000))
        answer = await rest(reader)
        drip.cancel()
        assert answer.startswith(b"HTTP/1.1 408")


async def test_i03_an_upload_that_stands_still_ends(tmp_path: Path) -> None:
    """Image bytes are no exception; nothing of them is left, and the image waits for bytes again."""
    async with Running(tmp_path, inbound=HURRIED) as service, wire(service) as (reader, writer):
        _status, image, _headers = await service.call(
            "POST", "/v2/images", json={"disk_format": "raw", "container_format": "bare"}
        )
        writer.write(
            f"PUT /v2/images/{image['id']}/file HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n".encode()
            + b"x" * 1000
        )
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 408")
        error = json.loads(answer.partition(b"\r\n\r\n")[2])[
            "error"
        ]  # In the form of the face that was asked.
        assert (error["code"], error["type"]) == (408, "request-too-slow")
        async with asyncio.timeout(PATIENT_SECONDS):
            while (await service.get(f"/v2/images/{image['id']}"))["status"] != "queued":
                await asyncio.sleep(0.01)
        assert service.traces() == []


@pytest.mark.parametrize(("version", "is_invited"), [(b"1.1", True), (b"1.0", False)])
async def test_i03_who_waits_to_be_invited_and_stays_silent(
    tmp_path: Path, version: bytes, is_invited: bool
) -> None:
    """A body that is announced with `Expect` is waited for like any other; HTTP/1.0 knows no invitation."""
    async with Running(tmp_path, inbound=HURRIED) as service, wire(service) as (reader, writer):
        head = POST.replace(b"HTTP/1.1", b"HTTP/" + version)
        writer.write(head + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
        assert statuses(await rest(reader)) == [b"100"] * is_invited + [b"408"]


async def test_i03_a_slow_body_above_the_least_rate_is_taken(tmp_path: Path) -> None:
    """The bound is on standing still, not on taking long."""
    rules = {"stall_seconds": 4.0, "min_bytes_per_second": 1}
    async with Running(tmp_path, inbound=rules) as service, wire(service) as (reader, writer):
        body = b'{"url": "ftp://x/"}'
        writer.write(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        for byte in body:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.3)
        assert problem_of(await rest(reader))["code"] == "url-invalid"


async def test_i04_a_client_that_does_not_read_its_answer_is_given_up(tmp_path: Path) -> None:
    """An answer that nobody reads does not hold its connection, its file and its memory."""
    async with Running(tmp_path, inbound=HURRIED) as service:
        host, port = service.base.removeprefix("http://").split(":")
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
            pipelined = (b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") * 16
            await asyncio.get_running_loop().sock_sendall(sock, pipelined)
            crowd = service.crowd
            async with asyncio.timeout(PATIENT_SECONDS):
                while not len(crowd):
                    await asyncio.sleep(0.01)
                while len(crowd):
                    await asyncio.sleep(0.01)
        assert not len(crowd)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /" + b"a" * 40_000,
        GET + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
        GET + b"X: " + b"a" * 40_000,
        GET + b"X: a\r\n" * 200 + b"\r\n",
        GET + b"X: a\r\n" * 20_000,
    ],
)
async def test_i05_a_head_that_is_too_large_is_refused(tmp_path: Path, sent: bytes) -> None:
    """No honest client needs so much; the answer says how much it may be."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        writer.write(sent)
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 431")
        assert problem_of(answer)["max_head_bytes"] == 32_768
        assert (await service.get("/healthz"))["status"] == "ok"


@pytest.mark.parametrize("count", [18, 3000])
async def test_i05_requests_without_end_before_the_first_answer_are_refused(
    tmp_path: Path, count: int
) -> None:
    """Of pipelined requests in one packet the first are answered, one is refused, and no other is queued."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        writer.write((GET + b"\r\n") * count)
        assert statuses(await rest(reader)) == [b"200"] * 17 + [b"400"]


LIST = b"GET /imports HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (GET + b"X: " + b"a" * 40_000 + b"\r\n\r\n", b"431"),
        (GET + b"X: a\r\n" * 200 + b"\r\n", b"431"),
        (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nnone\r\n", b"400"),
    ],
    ids=["nonsense", "a long field", "many fields", "two meanings", "a chunk that is none"],
)
async def test_i05_what_is_refused_takes_no_answer_from_those_before_it(
    tmp_path: Path, sent: bytes, said: bytes
) -> None:
    """Whatever follows it, a good request has its answer, and the refusal comes in its turn."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        writer.write(LIST * 3 + sent)
        assert statuses(await rest(reader)) == [b"200"] * 3 + [said]


async def test_i05_an_answered_request_has_no_second_answer(tmp_path: Path) -> None:
    """A body that goes wrong behind its answer ends the connection, without a word that another might get."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        writer.write(POST.replace(b"/imports", b"/nowhere") + b"Transfer-Encoding: chunked\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"none\r\n")
        assert statuses(answer + await rest(reader)) == [b"404"]


async def test_i05_fields_after_a_body_change_nothing(tmp_path: Path) -> None:
    """Trailers of a chunked body are not among the fields that a request is judged by."""
    async with Running(tmp_path) as service, wire(service) as (reader, writer):
        writer.write(
            POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
            b"Host: evil.test\r\nIdempotency-Key: a\r\n\r\n"
        )
        assert (await rest(reader)).startswith(b"HTTP/1.1 400")


async def test_i06_silent_connections_leave_when_places_are_needed(tmp_path: Path) -> None:
    """With every place taken by silence, whoever asks for something is served at once."""
    rules = {"max_connections": 40, "max_connections_per_address": 4000}
    async with Running(tmp_path, inbound=rules) as service:
        silent = [await _connect(service) for _ in range(200)]
        assert (await service.get("/healthz"))["status"] == "ok"
        assert len(service.crowd) <= 40 + 32
        for _reader, writer in silent:
            writer.close()


async def test_i06_one_address_cannot_take_every_place(tmp_path: Path) -> None:
    """The connections of one address are counted; beyond them its own silent ones leave."""
    async with Running(tmp_path, inbound={"max_connections_per_address": 20}) as service:
        silent = [await _connect(service) for _ in range(100)]
        assert (await service.get("/healthz"))["status"] == "ok"
        assert len(service.crowd) <= 20
        for _reader, writer in silent:
            writer.close()


async def test_i06_those_who_are_served_are_not_sent_away(tmp_path: Path) -> None:
    """A running answer is never cut for a newcomer; when all are busy, the newcomer hears so."""
    async with Running(tmp_path, inbound={"max_connections_per_address": 5, "proxies": []}) as service:
        busy = []
        for _ in range(5):
            reader, writer = await _connect(service)
            writer.write(POST + b"Content-Length: 100\r\n\r\n{")
            busy.append((reader, writer))
        async with asyncio.timeout(PATIENT_SECONDS):
            while service.silent_clients():
                await asyncio.sleep(0.01)
        async with wire(service) as (reader, writer):
            writer.write(GET + b"\r\n")
            assert problem_of(await rest(reader))["code"] == "too-many-connections"
        for reader, writer in busy:
            writer.write(b" " * 98 + b"}")
            assert b"HTTP/1.1 400" in await reader.readline()
            writer.close()


async def test_i07_health_and_admins_have_places_of_their_own(tmp_path: Path) -> None:
    """When every place is busy, probes are answered; others with a token that is no admin's are not."""
    from fetcher.api.auth.identity import make_token

    tokens = {role: make_token() for role in ("admin", "reader")}
    listed = [
        {"sha256": sha256, "project": "p", "user": role, "roles": [role]}
        for role, (_token, sha256) in tokens.items()
    ]
    auth = {"mode": "tokens", "tokens": listed}
    async with Running(tmp_path, inbound={"max_connections": 8}, auth=auth) as service:
        token = tokens["admin"][0].encode()
        busy = []
        for _ in range(8):
            _reader, writer = await _connect(service)
            writer.write(POST + b"X-Auth-Token: " + token + b"\r\nContent-Length: 100\r\n\r\n{")
            busy.append(writer)
        async with asyncio.timeout(PATIENT_SECONDS):
            while service.silent_clients():
                await asyncio.sleep(0.01)
        assert (await service.get("/healthz"))["status"] == "ok"
        for role, status in (("admin", 200), ("reader", 503)):
            headers = {"X-Auth-Token": tokens[role][0]}
            assert (await service.call("GET", "/imports", headers=headers))[0] == status
        for writer in busy:
            writer.close()


async def _connect(service: Running) -> Wire:
    host, port = service.base.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))
