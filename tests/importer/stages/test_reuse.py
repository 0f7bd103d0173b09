"""Bytes that are here already: only whoever could fetch them this moment gets them, whatever is known."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.api.image_v2.cloud import Cloud
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin

BODY = raw(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
HONEST = behaviours.serve(BODY, etag='"v1"')

Import = Callable[..., Awaitable[dict[str, Any]]]


@asynccontextmanager
async def services(folder: Path, origin: Origin, mode: str) -> AsyncIterator[tuple[Cloud, Import]]:
    """A service with several projects, and a way to import as somebody and see how it ended."""
    async with Cloud(folder, origin, reuse={"revalidate": mode}) as cloud:

        async def run(who: str, path: str = "/x", **fields: Any) -> dict[str, Any]:
            token = {"X-Auth-Token": f"token of {who}"}
            sent = {"url": origin.url(path), "disk_format": "raw"} | fields
            status, made, _headers = await cloud.call("POST", "/imports", json=sent, headers=token)
            assert status == 202, made
            async for name, document in cloud.events(made["id"], headers=token):
                if name == "end":
                    return dict(document)
            raise AssertionError("the events ended before the import did")

        yield cloud, run


async def test_everybody_may_be_given_what_the_source_says_is_unchanged(tmp_path: Path) -> None:
    """Where the operator says so, another project's pull counts: a request, no body, one blob, two images."""
    async with Origin({"/x": HONEST}) as origin, services(tmp_path, origin, "everybody") as (cloud, run):
        first, second = await run("alice"), await run("bob")
        assert (first["state"], second["state"]) == ("succeeded", "succeeded")
        assert origin.sent_bytes == len(BODY)
        assert origin.requests[1].header("If-None-Match") == '"v1"'
        for who, other, ended in (("alice", "bob", first), ("bob", "alice", second)):
            assert (await cloud.fetch(who, ended["image_id"]))[1] == BODY
            assert (await cloud.fetch(other, ended["image_id"]))[0] == 404
        story = await cloud.get(
            f"/imports/{second['id']}/provenance", headers={"X-Auth-Token": "token of bob"}
        )
        assert story["submitted"]["project_id"] == "b"
        await cloud.want(204, "alice", "DELETE", f"/images/{first['image_id']}")
        assert (await cloud.fetch("bob", second["image_id"]))[1] == BODY
        assert len(cloud.traces()) == 1


async def test_a_project_is_given_its_own_pulls_only(tmp_path: Path) -> None:
    """What another project pulled is not even asked about; each asks for itself once."""
    async with Origin({"/x": HONEST}) as origin, services(tmp_path, origin, "project") as (_cloud, run):
        for who in ("alice", "bob", "alice", "bob"):
            assert (await run(who))["state"] == "succeeded"
        asked = [request.header("If-None-Match") for request in origin.requests]
        assert asked == [None, None, '"v1"', '"v1"']
        assert origin.sent_bytes == 2 * len(BODY)


def keyed(exchange: Exchange) -> bool:
    return exchange.request.header("Authorization") == "Bearer key"


async def locked(exchange: Exchange) -> None:
    """Serve whoever has the key; tell all others that they need one."""
    await (HONEST if keyed(exchange) else behaviours.status(401))(exchange)


async def test_a_pull_with_a_key_leaves_nothing_to_those_without(tmp_path: Path) -> None:
    """A header may be a permission: what came by one is neither remembered nor asked about."""
    key = {"headers": {"Authorization": "Bearer key"}}
    async with Origin({"/x": locked}) as origin, services(tmp_path, origin, "everybody") as (cloud, run):
        assert (await run("alice", **key))["state"] == "succeeded"
        refused = await run("bob")
        assert (refused["state"], refused["verdict"]["fields"]["status"]) == ("failed", 401)
        assert (await run("bob", **key))["state"] == "succeeded"
        assert [request.header("If-None-Match") for request in origin.requests] == [None] * 3
        index = cloud.service.app.state.services.index
        assert await index.connection.read(lambda db: db.table("remembered_urls").count) == 0


async def test_a_source_that_was_open_and_is_locked_now_gives_nothing(tmp_path: Path) -> None:
    """What is known of earlier counts for nothing: the source is asked, and its 401 is the answer."""
    async with Origin({"/x": HONEST}) as origin, services(tmp_path, origin, "everybody") as (cloud, run):
        assert (await run("alice"))["state"] == "succeeded"
        origin.routes["/x"] = locked
        for who in ("alice", "bob"):
            refused = await run(who)
            assert (refused["state"], refused["verdict"]["fields"]["status"]) == ("failed", 401)
            assert (await cloud.fetch(who, refused["image_id"]))[0] == 404
        assert origin.sent_bytes == len(BODY)


async def test_who_brings_a_key_is_never_answered_from_memory(tmp_path: Path) -> None:
    """The open version is remembered; a request with a header may have another answer, and asks for it."""
    other = raw(300_000, seed=7)

    async def both(exchange: Exchange) -> None:
        await (behaviours.serve(other, etag='"v1"') if keyed(exchange) else HONEST)(exchange)

    fields = {"headers": {"Authorization": "Bearer key"}}
    async with Origin({"/x": both}) as origin, services(tmp_path, origin, "everybody") as (cloud, run):
        await run("alice")
        ended = await run("alice", **fields)
        assert (await cloud.fetch("alice", ended["image_id"]))[1] == other
        again = await run("alice")
        assert (await cloud.fetch("alice", again["image_id"]))[1] == BODY


@pytest.mark.parametrize("vary", ["*", "User-Agent", "Accept-Encoding, X-Forwarded-For"])
async def test_an_answer_that_varies_is_the_sources_to_judge(vary: str, tmp_path: Path) -> None:
    """What it varies by is equal in our requests, or nothing it can see: a 304 is its own word each time."""

    def varying(body: bytes, etag: str) -> behaviours.Behaviour:
        return behaviours.serve(body, etag=etag, fields={"Vary": vary})

    async with (
        Origin({"/x": varying(BODY, '"v1"')}) as origin,
        services(tmp_path, origin, "everybody") as (cloud, run),
    ):
        await run("alice")
        origin.routes["/x"] = varying(raw(1000), '"v2"')
        ended = await run("bob")
        assert (await cloud.fetch("bob", ended["image_id"]))[1] == raw(1000)


ELSEWHERE = {
    "another query": "/x?v=2",
    "another path": "/y",
    "nothing there": "/none",
}


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_an_equal_digest_alone_grants_nothing(name: str, tmp_path: Path) -> None:
    """Whoever knows the digest of bytes that are here still has to fetch them, and is told of no equality."""
    lie = behaviours.serve(raw(300_000, seed=3), etag='"v1"')
    routes = {"/x": HONEST, "/y": lie}

    async def by_query(exchange: Exchange) -> None:
        await (lie if "?" in exchange.request.target else HONEST)(exchange)

    async with Origin({**routes, "/x": by_query}) as origin, services(tmp_path, origin, "everybody") as place:
        cloud, run = place
        assert (await run("alice"))["state"] == "succeeded"
        refused = await run("bob", ELSEWHERE[name], checksum=f"sha256:{SHA256}")
        code = "source-status" if name == "nothing there" else "checksum-mismatch"
        assert refused["verdict"]["code"] == code
        assert (await cloud.fetch("bob", refused["image_id"]))[0] == 404
        assert (await cloud.want(200, "bob", "GET", "/images"))["images"] == []
        assert len(cloud.traces()) == 1


async def test_a_304_that_nobody_asked_for_grants_nothing(tmp_path: Path) -> None:
    """A source that says 304 to a plain request, or to a range, has brought no bytes."""
    nothing = behaviours.status("304 Not Modified", {"ETag": '"v1"'})
    async with (
        Origin({"/x": HONEST, "/y": nothing}) as origin,
        services(tmp_path, origin, "everybody") as place,
    ):
        cloud, run = place
        await run("alice")
        ended = await run("bob", "/y", checksum=f"sha256:{SHA256}")
        assert ended["state"] == "failed"
        assert (await cloud.want(200, "bob", "GET", "/images"))["images"] == []
        turns = behaviours.in_turn(behaviours.cut(BODY, 1000, fields={"ETag": '"v1"'}), nothing)
        origin.routes["/z"] = turns
        ended = await run("bob", "/z", checksum=f"sha256:{SHA256}")
        assert ended["state"] == "failed"


async def test_a_redirect_elsewhere_is_no_memory_of_elsewhere(tmp_path: Path) -> None:
    """What is remembered is the URL that was submitted; a 304 behind a new redirect speaks for itself."""
    routes = {"/x": HONEST, "/go": behaviours.redirect("/x")}
    async with Origin(routes) as origin, services(tmp_path, origin, "everybody") as (_cloud, run):
        await run("alice", "/go")
        assert (await run("bob", "/go"))["state"] == "succeeded"
        assert origin.sent_bytes == len(BODY)
        assert (await run("bob", "/x"))["state"] == "succeeded"
        assert origin.requests[-1].header("If-None-Match") is None
