"""Further connections are an offer: whatever becomes of them, what one would finish is finished."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Behaviour, Exchange, Origin
from tests.service import Running

SIZE = 2_000_000
PACE = 1_500_000
BODY = raw(SIZE)
SHA256 = hashlib.sha256(BODY).hexdigest()
# A paced piece or two is on its way when a connection is let go.
SLACK = 300_000
EAGER: dict[str, Any] = {
    "min_bytes": 0,
    "segment_bytes": 65_536,
    "patience_seconds": 0.1,
    "enough_bytes_per_second": 10_000_000_000,
}
GOOD = behaviours.serve(BODY, etag='"v1"', bytes_per_second=PACE, pieces_per_second=100)


def counted(count: int, behaviour: Behaviour, otherwise: Behaviour) -> Behaviour:
    """Do one thing for so many requests, and another for all that follow."""
    return behaviours.in_turn(*[behaviour] * count, otherwise)


async def hang_up(exchange: Exchange) -> None:
    """Break the connection off before a word is said."""
    exchange.reset()


def says(head: str, body: bytes = b"") -> Behaviour:
    """Give one answer, whatever was asked."""
    return behaviours.answer(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)


REFUSALS: dict[str, Behaviour] = {
    "a signed link, judged when a request begins": behaviours.status(403),
    "a link that works once": behaviours.status(410),
    "a mirror that is gone": behaviours.status(404),
    "a login": behaviours.status(401),
    "rate limit": behaviours.status(429),
    "rate limit that names a time": behaviours.status(429, {"Retry-After": "30"}),
    "busy": behaviours.status(503),
    "busy, with a time": behaviours.status(503, {"Retry-After": "30"}),
    "another version": behaviours.serve(raw(SIZE, seed=8), etag='"v2"'),
    "takes no range after all": behaviours.serve(BODY, etag='"v1"', ranges=False),
    "another range": says(
        'HTTP/1.1 206 Other\nContent-Range: bytes 0-9/2000000\nContent-Length: 10\nETag: "v1"', b"0123456789"
    ),
    "another size": says(
        'HTTP/1.1 206 Other\nContent-Range: bytes 0-9/10\nContent-Length: 10\nETag: "v1"', b"0123456789"
    ),
    "no range named": says('HTTP/1.1 206 Other\nContent-Length: 10\nETag: "v1"', b"0123456789"),
    "a page": says("HTTP/1.1 200 OK\nContent-Length: 6\nContent-Type: text/html", b"<html>"),
    "elsewhere": behaviours.redirect("/elsewhere"),
    "no HTTP": behaviours.answer("SSH-2.0-OpenSSH_9\r\n"),
    "banned": hang_up,
    "silent": behaviours.silent(),
    "cut short": behaviours.cut(BODY, 5000, fields={"ETag": '"v1"'}),
    "reset in mid-body": behaviours.cut(BODY, 5000, reset=True, fields={"ETag": '"v1"'}),
    "stalls": behaviours.serve(BODY, etag='"v1"', bytes_per_second=2000),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refused_connection_costs_nothing(name: str, tmp_path: Path) -> None:
    """The first connection reads to the end; the source is asked once or twice more, no attempt is lost."""
    async with (
        Origin({"/x": counted(1, GOOD, REFUSALS[name])}) as origin,
        Running(tmp_path, origin, ranges=EAGER) as service,
    ):
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert [attempt["code"] for attempt in ended["attempts"]] == ["ok"]
        assert 2 <= len(origin.requests) <= 3
        if name not in {
            "another version",
            "takes no range after all",
        }:  # Those send all that they have at once.
            assert origin.sent_bytes <= SIZE + 20_000
        await origin.wait_idle()


@pytest.mark.parametrize("status", [403, 410, 429])
@pytest.mark.parametrize("good", [2, 3, 6])
async def test_a_link_that_expires_meanwhile_loses_nothing(good: int, status: int, tmp_path: Path) -> None:
    """After connections were taken and let go, those that are open still lead to the end."""
    async with (
        Origin({"/x": counted(good, GOOD, behaviours.status(status))}) as origin,
        Running(tmp_path, origin, ranges=EAGER) as service,
    ):
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert [attempt["code"] for attempt in ended["attempts"]] == ["ok"]
        assert 2 <= len(origin.requests) <= good + 1  # A busy machine may ask for fewer.
        assert origin.sent_bytes <= SIZE + SLACK


@pytest.mark.parametrize("etags", [('"v1"', '"v1"'), ('"v1"', '"v2"')])
async def test_parts_come_from_the_mirror_that_answered_first(etags: tuple[str, str], tmp_path: Path) -> None:
    """The redirector is asked once; the second mirror, same or not, hears nothing."""
    first = behaviours.serve(BODY, etag=etags[0], bytes_per_second=PACE, pieces_per_second=100)
    async with (
        Origin({"/m": first}) as one,
        Origin({"/m": behaviours.serve(BODY, etag=etags[1])}, host="127.0.0.3") as two,
        Origin() as front,
        Running(tmp_path, one, two, front, ranges=EAGER) as service,
    ):
        front.routes["/x"] = behaviours.in_turn(
            behaviours.redirect(one.url("/m?sig=hush")),
            behaviours.redirect(two.url("/m")),
            behaviours.status(404),
        )
        ended = await service.run(url=front.url("/x"), headers={"Authorization": "Bearer hush"})
        assert ended["digests"]["sha256"] == SHA256
        assert [attempt["code"] for attempt in ended["attempts"]] == ["ok"]
        assert (len(front.requests), len(two.requests)) == (1, 0)
        assert ended["attempts"][0]["connections"] > 1
        assert {request.target for request in one.requests} == {"/m?sig=hush"}
        assert all(request.header("Authorization") is None for request in one.requests)
        assert one.sent_bytes <= SIZE + 2 * SLACK


async def test_parts_carry_the_headers_of_the_first_request(tmp_path: Path) -> None:
    """What the source of the submitted URL needs to let us in, it gets on every connection."""
    async with Origin({"/x": GOOD}) as origin, Running(tmp_path, origin, ranges=EAGER) as service:
        ended = await service.run(url=origin.url("/x"), headers={"Authorization": "Bearer hush"})
        assert ended["digests"]["sha256"] == SHA256
        assert len(origin.requests) >= 2
        assert {request.header("Authorization") for request in origin.requests} == {"Bearer hush"}
        assert {request.header("If-Range") for request in origin.requests[1:]} == {'"v1"'}


async def test_one_limit_for_all_connections_gets_one_further(tmp_path: Path) -> None:
    """Where a second connection brings nothing, there is no third, and soon one again."""
    turn = asyncio.Lock()

    async def shared(exchange: Exchange) -> None:
        first = int((exchange.request.header("Range") or "bytes=0-").partition("=")[2].split("-")[0])
        last = (exchange.request.header("Range") or "").rpartition("-")[2]
        body = memoryview(BODY)[first : int(last) + 1 if last else SIZE]
        fields = {"Content-Length": len(body), "ETag": '"v1"', "Accept-Ranges": "bytes"}
        if exchange.request.header("Range"):
            fields["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{SIZE}"
        await exchange.send_head(206 if "Content-Range" in fields else 200, fields)
        for start in range(0, len(body), 16_384):
            async with turn:  # All share what there is.
                await asyncio.sleep(16_384 / PACE)
                await exchange.send_body(body[start : start + 16_384])

    async with Origin({"/x": shared}) as origin, Running(tmp_path, origin, ranges=EAGER) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert ended["attempts"][0]["connections"] <= 3  # A busy machine may take one gain for real.
        assert origin.sent_bytes <= SIZE + SLACK


async def test_a_refused_connection_has_the_next_attempt_wait(tmp_path: Path) -> None:
    """Retry-After holds for parts: after it, nothing is asked before that time, by any attempt."""
    moments: list[float] = []

    async def timed(exchange: Exchange) -> None:
        moments.append(asyncio.get_running_loop().time())
        await rest(exchange)

    async def slow_cut(exchange: Exchange) -> None:
        await exchange.send_head(200, {"Content-Length": SIZE, "ETag": '"v1"', "Accept-Ranges": "bytes"})
        for start in range(0, SIZE // 2, 100_000):
            await exchange.send_body(BODY[start : start + 100_000])
            await asyncio.sleep(0.05)

    rest = behaviours.in_turn(slow_cut, behaviours.status(429, {"Retry-After": "2"}), GOOD)
    async with Origin({"/x": timed}) as origin, Running(tmp_path, origin, ranges=EAGER) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert len(ended["attempts"]) == 2
        assert len(moments) == 3
        assert moments[2] - moments[1] >= 1.9


@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize("tells_ranges", [True, False])
async def test_a_source_of_http_1_0_is_not_harmed(
    tells_ranges: bool, has_length: bool, tmp_path: Path
) -> None:
    """One connection at a time and no ranges: its answer is read to the end, in one attempt."""
    turn = asyncio.Lock()

    async def old(exchange: Exchange) -> None:
        async with turn:
            fields = ['ETag: "v1"', *(["Accept-Ranges: bytes"] if tells_ranges else [])]
            fields += [f"Content-Length: {SIZE}"] if has_length else []
            await exchange.send("\r\n".join(["HTTP/1.0 200 OK", *fields]) + "\r\n\r\n")
            for start in range(0, SIZE, 20_000):
                await exchange.send_body(BODY[start : start + 20_000])
                await asyncio.sleep(20_000 / PACE)

    async with Origin({"/x": old}) as origin, Running(tmp_path, origin, ranges=EAGER) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert [attempt["code"] for attempt in ended["attempts"]] == ["ok"]
        # Only what says that it takes ranges is ever asked for one, and once it has not, never again.
        assert len(origin.requests) <= (3 if tells_ranges and has_length else 1)
        await origin.wait_idle()
        assert origin.sent_bytes <= SIZE + SLACK
