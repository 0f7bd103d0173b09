"""Pull once: equal requests at the same time share one pull, and each import keeps its own verdict."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.service import Running

SIZE = 3_000_000
CLIENTS = 100


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def held(body: bytes, opened: asyncio.Event, **options: Any) -> behaviours.Behaviour:
    """Send a part, then wait until the test lets the rest come."""

    async def behave(exchange: Exchange) -> None:
        fields = {"Content-Length": len(body), "Connection": "close", **options}
        await exchange.send_head("200 OK", fields)
        await exchange.send_body(body[: SIZE // 2])
        await opened.wait()
        await exchange.send_body(body[SIZE // 2 :])

    return behave


async def all_ended(service: Running, created: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(await asyncio.gather(*(service.ended(one["id"]) for one in created)))


async def until_running(service: Running, count: int) -> None:
    async with asyncio.timeout(30):
        while (await service.get("/healthz"))["imports"]["running"] != count:
            await asyncio.sleep(0.01)


async def test_a_hundred_clients_and_one_pull(tmp_path: Path) -> None:
    """The origin serves the bytes once, a hundred images are active, the store holds one blob."""
    body, opened = raw(SIZE), asyncio.Event()
    async with Origin({"/x": held(body, opened)}) as origin, Running(tmp_path, origin) as service:
        created = await asyncio.gather(*(service.submit(url=origin.url("/x")) for _ in range(CLIENTS)))
        await until_running(service, CLIENTS)
        opened.set()
        ended = await all_ended(service, created)
        assert {one["state"] for one in ended} == {"succeeded"}
        assert {one["digests"]["sha256"] for one in ended} == {sha256(body)}
        assert len({one["image_id"] for one in ended}) == CLIENTS
        assert origin.sent_bytes == SIZE
        assert len(origin.requests) == 1
        assert service.traces() == [f"blobs/{sha256(body)[:2]}/{sha256(body)}"]
        for one in ended:
            image = await service.get(f"/imports/{one['id']}/provenance")
            assert image["image_id"] == one["image_id"]


async def test_each_follower_has_its_own_verdict(tmp_path: Path) -> None:
    """A wrong digest refuses its own import and no other; the right one proves only its own."""
    body, opened = raw(SIZE), asyncio.Event()
    async with Origin({"/x": held(body, opened)}) as origin, Running(tmp_path, origin) as service:
        url = origin.url("/x")
        wrong = f"sha256:{'0' * 64}"
        created = [
            await service.submit(url=url, checksum=text) for text in (None, wrong, f"sha256:{sha256(body)}")
        ]
        await until_running(service, 3)
        opened.set()
        ended = await all_ended(service, created)
        assert [one["verdict"]["code"] for one in ended] == ["ok", "checksum-mismatch", "ok"]
        assert [one["verified_by"] for one in ended] == ["none", "none", "submitter"]
        assert len(origin.requests) == 1


async def test_cancelling_one_does_not_stop_the_others(tmp_path: Path) -> None:
    """Who began the pull may leave it; the last one to leave ends it."""
    body, opened = raw(SIZE), asyncio.Event()
    async with Origin({"/x": held(body, opened)}) as origin, Running(tmp_path, origin) as service:
        created = [await service.submit(url=origin.url("/x")) for _ in range(3)]
        await until_running(service, 3)
        assert (await service.call("DELETE", f"/imports/{created[0]['id']}"))[0] == 204
        assert (await service.get(f"/imports/{created[0]['id']}"))["state"] == "cancelled"
        opened.set()
        ended = await all_ended(service, created)
        assert [one["state"] for one in ended] == ["cancelled", "succeeded", "succeeded"]
        assert len(origin.requests) == 1
        origin.routes["/x"] = behaviours.stall(body, 1000)
        again = [await service.submit(url=origin.url("/x")) for _ in range(2)]
        await until_running(service, 2)
        for one in again:
            assert (await service.call("DELETE", f"/imports/{one['id']}"))[0] == 204
        await origin.wait_idle()
        assert len(service.traces()) == 1


async def test_one_failure_is_told_to_all(tmp_path: Path) -> None:
    """Refused bytes are refused for everybody who asked for them, and leave nothing."""
    async with Origin({"/x": behaviours.status(404)}) as origin, Running(tmp_path, origin) as service:
        created = await asyncio.gather(*(service.submit(url=origin.url("/x")) for _ in range(5)))
        ended = await all_ended(service, list(created))
        assert {one["verdict"]["code"] for one in ended} == {"source-status"}
        assert service.traces() == []


OTHERS: dict[str, dict[str, Any]] = {
    "other headers": {"headers": {"Authorization": "Bearer other"}},
    "no headers": {"headers": {}},
    "another claim": {"disk_format": "qcow2"},
    "a lower cap": {"max_bytes": SIZE - 1},
}


@pytest.mark.parametrize("name", OTHERS)
async def test_only_equal_requests_with_equal_secrets_share(name: str, tmp_path: Path) -> None:
    """Whoever does not know the secret gets the origin's own answer, never the bytes of those who do."""
    body, opened = raw(SIZE), asyncio.Event()
    key = {"headers": {"Authorization": "Bearer key"}}

    async def guarded(exchange: Exchange) -> None:
        known = exchange.request.header("Authorization") == "Bearer key"
        await (held(body, opened) if known else behaviours.status(401))(exchange)

    async with Origin({"/x": guarded}) as origin, Running(tmp_path, origin) as service:
        created = [await service.submit(url=origin.url("/x"), **key | more) for more in ({}, OTHERS[name])]
        await origin.wait_requests(2)
        opened.set()
        first, second = await all_ended(service, created)
        assert first["state"] == "succeeded"
        assert second["state"] != "succeeded"
        if "headers" in OTHERS[name]:
            assert second["verdict"]["fields"]["status"] == 401
        assert "Bearer" not in str(first)
        assert first["submission"]["headers"] == ["Authorization"]
    for path in service.data.glob("index.sqlite*"):
        assert b"Bearer" not in path.read_bytes()


async def test_sharing_can_be_turned_off(tmp_path: Path) -> None:
    """An operator who wants each import to ask for itself says so."""
    body = raw(1000)
    reuse = {"share": False}
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, reuse=reuse) as service,
    ):
        created = await asyncio.gather(*(service.submit(url=origin.url("/x")) for _ in range(3)))
        assert {one["state"] for one in await all_ended(service, list(created))} == {"succeeded"}
        assert len(origin.requests) == 3


async def test_an_unchanged_source_sends_no_body(tmp_path: Path) -> None:
    """A 304 for the very request makes an image of the bytes in the store, judged and digested anew."""
    body = raw(SIZE)
    reuse = {"revalidate": "project"}
    routes = {"/x": behaviours.serve(body, etag='"v1"')}
    async with Origin(routes) as origin, Running(tmp_path, origin, reuse=reuse) as service:
        url = origin.url("/x")
        first = await service.run(url=url)
        again = await service.run(url=url, checksum=f"sha256:{sha256(body)}")
        assert origin.sent_bytes == SIZE
        assert origin.requests[1].header("If-None-Match") == '"v1"'
        assert (again["state"], again["verified_by"]) == ("succeeded", "submitter")
        assert again["image_id"] != first["image_id"]
        assert again["attempts"][0]["hops"][0]["status"] == 304
        wrong = await service.run(url=url, checksum=f"sha256:{'0' * 64}")
        assert wrong["verdict"]["code"] == "checksum-mismatch"
        claimed = await service.run(url=url, disk_format="qcow2")
        assert claimed["state"] == "refused"
        assert origin.sent_bytes == SIZE
        origin.routes["/x"] = behaviours.serve(raw(SIZE, seed=5), etag='"v2"')
        changed = await service.run(url=url)
        assert changed["digests"]["sha256"] == sha256(raw(SIZE, seed=5))


async def test_nothing_is_revalidated_unless_the_operator_says_so(tmp_path: Path) -> None:
    """As shipped, each import pulls its bytes; with a secret in the URL, always."""
    body = raw(1000)
    routes = {"/x": behaviours.serve(body, etag='"v1"')}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        for _ in range(2):
            await service.run(url=origin.url("/x"))
        assert origin.sent_bytes == 2 * len(body)
    reuse = {"revalidate": "everybody"}
    async with Origin(routes) as origin, Running(tmp_path, origin, reuse=reuse) as service:
        for _ in range(2):
            await service.run(url=origin.url("/x?token=hush"))
        assert origin.sent_bytes == 2 * len(body)


async def test_a_source_in_new_hands_gives_nobody_anothers_bytes(tmp_path: Path) -> None:
    """Where a project's own pulls count, a 304 for another project's bytes is never even asked for."""
    body = raw(1000)
    routes = {"/x": behaviours.serve(body, etag='"v1"')}
    reuse = {"revalidate": "project"}
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, reuse=reuse, auth={"project": "one"}) as service,
    ):
        await service.run(url=origin.url("/x"))
    origin_again = Origin(routes, port=origin.port)
    async with origin_again, Running(tmp_path, origin_again, reuse=reuse, auth={"project": "two"}) as service:
        ended = await service.run(url=origin_again.url("/x"))
        assert ended["state"] == "succeeded"
        assert origin_again.requests[0].header("If-None-Match") is None
        assert origin_again.sent_bytes == len(body)


async def test_rotten_bytes_are_not_given_again(tmp_path: Path) -> None:
    """A blob that no longer is what its name says is found out, and the source asked for its own."""
    body = raw(1000)
    routes = {"/x": behaviours.serve(body, etag='"v1"')}
    reuse = {"revalidate": "project"}
    async with Origin(routes) as origin, Running(tmp_path, origin, reuse=reuse) as service:
        await service.run(url=origin.url("/x"))
        [blob] = (service.data / "blobs").rglob(sha256(body))
        blob.chmod(0o600)
        blob.write_bytes(bytes(1000))
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        assert origin.sent_bytes == 2 * len(body)
