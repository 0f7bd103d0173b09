"""Group I of docs/attacks.md: requests that could be read in two ways, and what stands around bodies."""

import asyncio
import re
from pathlib import Path

import pytest
import pytest_asyncio

from tests.attacks.test_inbound import GET, POST, problem_of, rest, wire
from tests.service import Running

HOST = b"Host: 127.0.0.1\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def statuses(answer: bytes) -> list[int]:
    """The status of each answer on one connection."""
    return [int(text) for text in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


IN_TWO_WAYS = {
    "length and coding": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 6\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n",
    "a signed length": POST + b"Content-Length: +0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding not undone": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "the same coding twice": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a fold": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a coding in 1.0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n",
    "bare CR": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "NUL": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "a version that is none": b"GET /healthz HTTP/1.2\r\n" + HOST + b"\r\n",
    "a version of before": b"GET /healthz HTTP/0.9\r\n" + HOST + b"\r\n",
    "a coding in a version of before": POST.replace(b"1.1", b"0.9")
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a version of a later framing": b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "another's host in the target": b"GET http://evil.test/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a user in the target": b"GET http://127.0.0.1@evil.test/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "another scheme in the target": b"GET ftp://127.0.0.1/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a path": b"GET http://127.0.0.1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of bytes": b"GET /v2/images/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory):
    async with Running(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("sent", IN_TWO_WAYS.values(), ids=IN_TWO_WAYS)
async def test_i19_what_can_be_read_in_two_ways_is_not_read(service: Running, sent: bytes) -> None:
    """It is refused and hung up on: what follows it is no request, first on a connection or later."""
    for before, expected in ((b"", [400]), (GET + b"\r\n", [200, 400])):
        async with wire(service) as (reader, writer):
            if before:  # Answered first: an answer under way would be cut off.
                writer.write(before)
                answer = await reader.readuntil(b"}}")
            else:
                answer = b""
            writer.write(sent + SMUGGLED)
            answer += await rest(reader)
            assert statuses(answer) == expected


@pytest.mark.asyncio(loop_scope="module")
async def test_i19_a_target_that_names_our_host_is_one(service: Running) -> None:
    """Clients that think of us as a proxy send the whole URL; it is taken where it says what Host says."""
    async with wire(service) as (reader, writer):
        writer.write(
            b"GET http://127.0.0.1/healthz HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n" + SMUGGLED
        )
        assert statuses(await rest(reader)) == [200]


@pytest.mark.asyncio(loop_scope="module")
async def test_i19_a_body_of_a_request_that_needs_none_is_no_request(service: Running) -> None:
    """The body of a GET is skipped, whatever it looks like."""
    async with wire(service) as (reader, writer):
        writer.write(GET + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED + LAST)
        assert statuses(await rest(reader)) == [200, 200]


@pytest.mark.asyncio(loop_scope="module")
async def test_i19_nothing_is_echoed(service: Running) -> None:
    """TRACE tells nobody what a browser or a proxy has added to a request."""
    async with wire(service) as (reader, writer):
        writer.write(b"TRACE / HTTP/1.1\r\nCookie: canary\r\nConnection: close\r\n" + HOST + b"\r\n")
        answer = await rest(reader)
        assert statuses(answer) == [405]
        assert b"canary" not in answer


UPGRADE = {
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIA\r\n",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("fields", UPGRADE.values(), ids=UPGRADE)
@pytest.mark.parametrize("cut", [False, True], ids=["at once", "in pieces"])
async def test_i20_asking_for_another_protocol_changes_nothing(
    service: Running, fields: bytes, cut: bool
) -> None:
    """A body behind such a head is its body, in either framing, and what follows it is the next request."""
    document = b'{"url": "ftp://a/", "name": "' + SMUGGLED.replace(b"\r\n", b" ") + b'"}'
    sent = [
        GET + fields + b"\r\n",
        POST + fields + b"Content-Length: %d\r\n\r\n" % len(document),
        document,
        POST + fields + b"Transfer-Encoding: chunked\r\n\r\n",
        b"%x\r\n" % len(document) + document + b"\r\n0\r\n\r\n",
        POST + fields + b"Content-Length: 0\r\n\r\n",
        LAST,
    ]
    async with wire(service) as (reader, writer):
        for piece in sent if cut else [b"".join(sent)]:
            writer.write(piece)
            await writer.drain()
            async with wire(service) as (other, asking):  # By then the piece before has been read.
                asking.write(LAST)
                assert statuses(await rest(other)) == [200]
        answer = await rest(reader)
        assert statuses(answer) == [200, 400, 400, 400, 200]
        assert answer.count(b"url-invalid") == 2 * 2  # As its code, and in its type.


@pytest.mark.asyncio(loop_scope="module")
async def test_i20_uploads_by_clients_that_would_rather_speak_http_2(service: Running) -> None:
    """Java's client asks for HTTP/2 with every request: its bytes arrive as they are."""
    status, image, _headers = await service.call(
        "POST", "/v2/images", json={"disk_format": "raw", "container_format": "bare"}
    )
    assert status == 201
    body = bytes(range(256)) * 4096
    async with wire(service) as (reader, writer):
        writer.write(
            f"PUT /v2/images/{image['id']}/file HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n".encode()
            + HOST
            + b"\r\n"
            + body
            + LAST
        )
        assert statuses(await rest(reader)) == [204, 200]
    async with service.client.get(f"/v2/images/{image['id']}/file") as answer:
        assert await answer.read() == body


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 500_000,
        CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"y" * 3_000_000,
        CHUNKED + b"1;" + b"a" * 3_000_000,
        CHUNKED + b"0" * 3_000_000,
        CHUNKED + (b"1;" + b"a" * 1000 + b"\r\n \r\n") * 3000,
        CHUNKED + (b"0" * 30 + b"1\r\n \r\n") * 100_000,
    ],
    ids=["trailers", "a trailer", "an extension", "zeros", "extensions between bytes", "zeros between bytes"],
)
async def test_i21_what_stands_around_a_body_has_an_end(service: Running, sent: bytes) -> None:
    """Trailers and chunk extensions without end are no way to fill memory behind a small body."""
    async with wire(service) as (reader, writer):
        sending = asyncio.create_task(_send(writer, sent))
        answer = await rest(reader)
        await sending
        assert statuses(answer) == [400]
        assert "longer than a head" in problem_of(answer)["reason"]


@pytest.mark.asyncio(loop_scope="module")
async def test_i21_a_body_in_chunks_of_one_byte_is_a_body(service: Running) -> None:
    """However long it is: what stands around each byte is no more than its chunk needs."""
    body = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in b"{" + b" " * 200_000 + b"}")
    async with wire(service) as (reader, writer):
        sending = asyncio.create_task(_send(writer, CHUNKED + body + b"0\r\n\r\n" + LAST))
        answer = await rest(reader)
        await sending
        assert statuses(answer) == [400, 200]
        assert b"longer than a head" not in answer


async def _send(writer: asyncio.StreamWriter, sent: bytes) -> None:
    try:
        writer.write(sent)
        await writer.drain()
    except ConnectionError:
        return


async def test_i06_what_is_left_of_a_body_holds_no_place(tmp_path: Path) -> None:
    """Whoever has their answer can be spared, also while the rest of a body or the next head comes."""
    rules = {"max_connections": 6, "max_connections_per_address": 4000}
    async with Running(tmp_path, inbound=rules) as service:
        held = []
        unread = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n{"
        for sent in (unread, GET + b"\r\nGET /hea") * 3:
            host, port = service.base.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            await reader.readuntil(b"\r\n\r\n")
            held.append(writer)
        status, _document, _headers = await service.call("GET", "/imports")
        assert status == 200
        for writer in held:
            writer.close()
