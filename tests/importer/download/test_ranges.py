"""Several connections for one body, and several sources of it: always in order, always within the limits."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.service import Running

SIZE = 8_000_000
SEGMENT = 262_144
PACE = 1_000_000
EAGER = {
    "min_bytes": 0,
    "segment_bytes": SEGMENT,
    "patience_seconds": 0.2,
    "enough_bytes_per_second": 10_000_000_000,
}
BODY = raw(SIZE)
SHA256 = hashlib.sha256(BODY).hexdigest()


class Watch:
    """Counts how many answers are under way at once; one that the client gave up is not."""

    def __init__(self, behaviour: behaviours.Behaviour) -> None:
        self.behaviour = behaviour
        self.most = 0
        self._open: set[Exchange] = set()

    @property
    def now(self) -> int:
        return sum(not exchange._reader.at_eof() for exchange in self._open)

    async def __call__(self, exchange: Exchange) -> None:
        self._open.add(exchange)
        self.most = max(self.most, self.now)
        try:
            await self.behaviour(exchange)
        finally:
            self._open.discard(exchange)


def slow(body: bytes = BODY, etag: str = '"v1"') -> Watch:
    return Watch(behaviours.serve(body, etag=etag, bytes_per_second=PACE))


async def test_a_slow_source_is_read_over_several_connections(tmp_path: Path) -> None:
    """Faster than any one connection may be, each byte served about once, the digest right."""
    watch = slow()
    async with Origin({"/x": watch}) as origin, Running(tmp_path, origin, ranges=EAGER) as service:
        began = asyncio.get_running_loop().time()
        ended = await service.run(url=origin.url("/x"))
        seconds = asyncio.get_running_loop().time() - began
        assert ended["digests"]["sha256"] == SHA256
        assert watch.most == ended["attempts"][0]["connections"]
        assert 2 <= watch.most <= 4  # A busy machine may open fewer than there may be.
        assert seconds < SIZE / PACE
        assert origin.sent_bytes <= 1.15 * SIZE  # A paced piece or two for each connection that was let go.


NOT_SPREAD: dict[str, tuple[behaviours.Behaviour, dict[str, Any]]] = {
    "turned off": (slow(), {"connections": 1}),
    "small": (slow(), {"min_bytes": SIZE + 1}),
    "fast": (behaviours.serve(BODY, etag='"v1"'), {"patience_seconds": 60.0}),
    "no ranges": (behaviours.serve(BODY, etag='"v1"', ranges=False), {}),
    "no validator": (behaviours.serve(BODY), {}),
    "weak validator": (behaviours.serve(BODY, etag='W/"v1"'), {}),
    "no length": (behaviours.chunked([BODY], fields={"ETag": '"v1"', "Accept-Ranges": "bytes"}), {}),
}


@pytest.mark.parametrize("name", NOT_SPREAD)
async def test_one_connection_where_more_would_be_wrong(name: str, tmp_path: Path) -> None:
    """Off below a size, for a source that is fast enough, and for one that cannot tell its versions apart."""
    behaviour, rules = NOT_SPREAD[name]
    async with (
        Origin({"/x": behaviour}) as origin,
        Running(tmp_path, origin, ranges=EAGER | rules) as service,
    ):
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert len(origin.requests) == ended["attempts"][0]["connections"] == 1


async def test_the_limit_for_one_origin_holds(tmp_path: Path) -> None:
    """Two imports of one origin have three connections between them, and both get on."""
    watch = slow()
    limits = {"max_running_per_origin": 3}
    routes = {"/a": watch, "/b": watch}
    async with Origin(routes) as origin, Running(tmp_path, origin, ranges=EAGER, imports=limits) as service:
        created = [await service.submit(url=origin.url(path)) for path in routes]
        ended = [await service.ended(one["id"]) for one in created]
        assert {one["digests"]["sha256"] for one in ended} == {SHA256}
        assert watch.most <= 3


async def test_memory_for_early_parts_is_bounded(tmp_path: Path) -> None:
    """Without room for what comes before its turn, parts come one after the other."""
    watch = slow(BODY[:2_000_000])
    rules = EAGER | {"buffer_bytes": SEGMENT}
    async with Origin({"/x": watch}) as origin, Running(tmp_path, origin, ranges=rules) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        assert ended["attempts"][0]["connections"] == 2


def only(count: int, behaviour: behaviours.Behaviour, otherwise: behaviours.Behaviour) -> Watch:
    """Serve so many at once and treat further ones otherwise."""
    watch = Watch(behaviour)

    async def behave(exchange: Exchange) -> None:
        await (otherwise if watch.now > count else behaviour)(exchange)

    watch.behaviour = behave
    return watch


UNWILLING = {
    "busy": behaviours.status(503),
    "forbidding": behaviours.status(403),
    "cutting": behaviours.cut(BODY, 1000, fields={"ETag": '"v1"'}),
}


@pytest.mark.parametrize("name", UNWILLING)
async def test_a_source_that_bears_few_connections_gets_few(name: str, tmp_path: Path) -> None:
    """A connection that fails leaves its part to the others; the import does not notice."""
    watch = only(2, behaviours.serve(BODY, etag='"v1"', bytes_per_second=PACE), UNWILLING[name])
    async with Origin({"/x": watch}) as origin, Running(tmp_path, origin, ranges=EAGER) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert [attempt["code"] for attempt in ended["attempts"]] == ["ok"]


async def test_parts_of_two_versions_never_meet(tmp_path: Path) -> None:
    """A file that changes while it is read goes on as it was: the connections of before lead to its end."""
    new = raw(SIZE, seed=7)
    turns = behaviours.in_turn(slow(), slow(), behaviours.serve(new, etag='"v2"'))
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin, ranges=EAGER) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == SHA256
        assert [attempt["code"] for attempt in ended["attempts"]] == ["ok"]
        assert len(origin.requests) == 3


async def test_a_mirror_takes_over_in_mid_stream(tmp_path: Path) -> None:
    """With a promised digest the next source goes on with the byte after; each URL is told."""
    async with (
        Origin({"/x": behaviours.cut(BODY, SIZE // 2)}) as first,
        Origin({"/x": behaviours.serve(BODY)}, host="127.0.0.3") as second,
        Running(tmp_path, first, second) as service,
    ):
        mirrors = [second.url("/x?key=hush")]
        headers = {"Authorization": "Bearer hush"}
        ended = await service.run(
            url=first.url("/x"), mirrors=mirrors, headers=headers, checksum=f"sha256:{SHA256}"
        )
        assert ended["digests"]["sha256"] == SHA256
        assert (first.sent_bytes, second.sent_bytes) == (SIZE // 2, SIZE - SIZE // 2)
        assert [attempt["url"] for attempt in ended["attempts"]] == [
            first.url("/x"),
            second.url("/x?key=REDACTED"),
        ]
        assert second.requests[0].header("Authorization") is None
        assert first.requests[0].header("Authorization") == "Bearer hush"
        assert "hush" not in str(ended)


async def test_without_a_digest_a_mirror_begins_anew(tmp_path: Path) -> None:
    """Nothing says that two sources hold the same bytes, so parts of theirs are not put together."""
    async with (
        Origin({"/x": behaviours.cut(raw(SIZE, seed=3), SIZE // 2)}) as first,
        Origin({"/x": behaviours.serve(BODY, etag='"v1"')}, host="127.0.0.3") as second,
        Running(tmp_path, first, second) as service,
    ):
        ended = await service.run(url=first.url("/x"), mirrors=[second.url("/x")])
        assert ended["digests"]["sha256"] == SHA256
        assert second.requests[0].header("Range") is None


async def test_mirrors_that_disagree_are_found_out(tmp_path: Path) -> None:
    """One is gone, one shows a page, one has other bytes; the last one's are those that were promised."""
    wrong = behaviours.serve(raw(SIZE, seed=4))
    routes = {"/gone": behaviours.status(404), "/page": behaviours.serve(b"<html>" * 100), "/wrong": wrong}
    routes["/x"] = behaviours.serve(BODY)
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        url, *mirrors = [origin.url(path) for path in routes]
        ended = await service.run(url=url, mirrors=mirrors, checksum=f"sha256:{SHA256}")
        assert ended["state"] == "succeeded"
        codes = [attempt["code"] for attempt in ended["attempts"]]
        assert codes == ["source-status", "format-mismatch", "checksum-mismatch", "ok"]
        ended = await service.run(url=url, mirrors=mirrors[:2], checksum=f"sha256:{SHA256}")
        assert ended["verdict"]["code"] == "checksum-mismatch"


async def test_a_mirrors_origin_has_its_limit_too(tmp_path: Path) -> None:
    """A connection to a mirror counts for the mirror's origin, and waits for its turn there."""
    watch = slow(BODY[:500_000])
    async with (
        Origin({"/x": behaviours.status(404), "/y": behaviours.status(404)}) as first,
        Origin({"/x": watch, "/y": watch, "/z": watch}, host="127.0.0.3") as second,
        Running(tmp_path, first, second, imports={"max_running_per_origin": 1}) as service,
    ):
        created = [await service.submit(url=second.url("/z"))]
        created += [
            await service.submit(url=first.url(path), mirrors=[second.url(path)]) for path in ("/x", "/y")
        ]
        ended = [await service.ended(one["id"]) for one in created]
        assert [one["state"] for one in ended] == ["succeeded"] * 3
        assert watch.most == 1
