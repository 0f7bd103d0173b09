"""The main job, end to end: URL in, guarded bytes in the store, rows in the index, verdicts that help."""

import asyncio
import hashlib
import io
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.images import HTML, qcow2, raw
from tests.lab import behaviours
from tests.lab.canary import Canary
from tests.lab.origin import Origin
from tests.service import Running

SIZE = 3_000_000


async def test_a_url_becomes_an_image(tmp_path: Path) -> None:
    """What the origin has is in the store, byte for byte, under its digests, with its story."""
    body = qcow2(clusters=40)
    sha256 = hashlib.sha256(body).hexdigest()
    async with (
        Origin({"/disk": behaviours.serve(body, etag='"1"')}) as origin,
        Running(tmp_path, origin) as service,
    ):
        url = origin.url("/disk?X-Amz-Signature=hush")
        ended = await service.run(
            url=url,
            disk_format=None,
            name="disk",
            checksum=f"sha256:{sha256}",
            tags=["a"],
            properties={"os": "x"},
            min_disk=1,
        )
        assert ended["state"] == "succeeded"
        assert ended["verdict"]["code"] == "ok"
        assert ended["format"]["disk_format"] == "qcow2"
        assert ended["verified_by"] == "submitter"
        assert ended["digests"]["md5"] == hashlib.md5(body).hexdigest()
        assert ended["progress"]["received_bytes"] == ended["progress"]["expected_bytes"] == len(body)
        assert service.traces() == [f"blobs/{sha256[:2]}/{sha256}"]
        assert (service.data / "blobs" / sha256[:2] / sha256).read_bytes() == body
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert "hush" not in str(story) + str(ended)
        assert story["attempts"][0]["hops"][0]["address"] == "127.0.0.1"
        assert story["source_headers"]["etag"] == '"1"'
        assert story["limits"]["max_bytes"] == service.service.settings.size.max_bytes
        assert story["digests"]["sha512"] == hashlib.sha512(body).hexdigest()
    assert b"hush" not in b"".join(path.read_bytes() for path in service.data.glob("index.sqlite*"))


PLAIN_ATTACKS: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str]] = {
    "endless body": (behaviours.endless(raw(65_536)), {"max_bytes": 1_000_000}, {}, "too-many-bytes"),
    "stall": (behaviours.stall(raw(SIZE), 1000), {}, {"pace": {"idle_seconds": 0.1}}, "source-too-slow"),
    "truncation": (behaviours.cut(raw(SIZE), 1_000_000), {}, {}, "truncated"),
    "redirect into 127.0.0.2": (None, {}, {}, "bad-redirect"),
    "html": (behaviours.serve(HTML), {"disk_format": None}, {}, "format-unknown"),
    "html claimed as raw": (behaviours.serve(HTML), {}, {}, "format-mismatch"),
    "unknown without a claim": (behaviours.serve(raw(SIZE)), {"disk_format": None}, {}, "format-unknown"),
    "html claimed as qcow2": (behaviours.serve(HTML), {"disk_format": "qcow2"}, {}, "format-mismatch"),
    "wrong digest": (
        behaviours.serve(raw(SIZE)),
        {"checksum": "sha256:" + "0" * 64},
        {},
        "checksum-mismatch",
    ),
    "one byte over the cap": (behaviours.serve(raw(SIZE)), {"max_bytes": SIZE - 1}, {}, "too-many-bytes"),
    "empty": (behaviours.serve(b""), {}, {}, "empty"),
    "missing": (behaviours.status(404), {}, {}, "source-status"),
    "over the operator's cap": (
        behaviours.serve(raw(SIZE)),
        {},
        {"size": {"max_bytes": 1000}},
        "too-many-bytes",
    ),
}


@pytest.mark.parametrize("name", PLAIN_ATTACKS)
async def test_plain_attacks_end_in_their_code_and_leave_no_trace(name: str, tmp_path: Path) -> None:
    """Each ends with its own verdict, nothing in staging, no blob, no image, and no connection held."""
    behaviour, fields, sections, code = PLAIN_ATTACKS[name]
    async with Canary() as canary, Origin() as origin:
        inside = f"http://127.0.0.2:{canary.port}/latest/meta-data"
        origin.routes["/x"] = behaviour or behaviours.redirect(inside)
        retry = {"attempts": 2, "first_wait_seconds": 0.01, "max_wait_seconds": 0.02}
        async with Running(tmp_path, origin, retry=retry, **sections) as service:
            ended = await service.run(url=origin.url("/x"), **fields)
            assert ended["verdict"]["code"] == code
            assert ended["state"] in {"refused", "failed"}
            assert ended["verdict"]["advice"]
            assert service.traces() == []
            assert await service.service.app.state.services.index.images.blobs() == []
            await origin.wait_idle()
        assert canary.accepted == 0


async def test_exactly_the_cap_passes(tmp_path: Path) -> None:
    """At the limit passes."""
    async with Origin({"/x": behaviours.serve(raw(SIZE))}) as origin, Running(tmp_path, origin) as service:
        assert (await service.run(url=origin.url("/x"), max_bytes=SIZE))["state"] == "succeeded"


async def test_submitting_does_not_wait_for_the_origin(tmp_path: Path) -> None:
    """The answer is there before the source is asked anything."""
    async with Origin({"/x": behaviours.silent()}) as origin, Running(tmp_path, origin) as service:
        began = time.monotonic()
        status, document, headers = await service.call(
            "POST", "/imports", json={"url": origin.url("/x"), "disk_format": "raw"}
        )
        seconds = time.monotonic() - began
        assert status == 202
        assert headers["location"].endswith(f"/imports/{document['id']}")
        assert seconds < 5  # The figure itself is in the benchmark; here only that it does not wait.
        await origin.wait_requests(1)
        status, _, _ = await service.call("DELETE", f"/imports/{document['id']}")
        assert status == 204


async def test_cancel_leaves_nothing(tmp_path: Path) -> None:
    """When DELETE answers, the connection is closed, the bytes are gone and the image too."""
    async with (
        Origin({"/x": behaviours.stall(raw(SIZE), SIZE // 2)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        created = await service.submit(url=origin.url("/x"))
        async for _name, document in service.events(created["id"]):
            if document["progress"]["received_bytes"] >= SIZE // 2:
                break
        status, _, _ = await service.call("DELETE", f"/imports/{created['id']}")
        assert status == 204
        assert service.traces() == []
        await origin.wait_idle()
        shown = await service.get(f"/imports/{created['id']}")
        assert (shown["state"], shown["verdict"]["code"]) == ("cancelled", "cancelled")
        assert (await service.call("DELETE", f"/imports/{created['id']}"))[0] == 204


async def test_a_finished_import_is_not_cancelled(tmp_path: Path) -> None:
    """Its image is there; deleting that is another matter."""
    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        status, problem, _ = await service.call("DELETE", f"/imports/{ended['id']}")
        assert (status, problem["code"]) == (409, "conflict")


async def test_a_repeated_post_is_one_import(tmp_path: Path) -> None:
    """A client that did not see the answer may ask again."""
    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        options = {
            "json": {"url": origin.url("/x"), "disk_format": "raw"},
            "headers": {"Idempotency-Key": "k1"},
        }
        first = (await service.call("POST", "/imports", **options))[1]["id"]
        await service.ended(first)
        assert (await service.call("POST", "/imports", **options))[1]["id"] == first
        options["json"] = {"url": origin.url("/y")}
        status, problem, _ = await service.call("POST", "/imports", **options)
        assert (status, problem["code"]) == (422, "idempotency-mismatch")
        assert len(origin.requests) == 1


async def test_a_broken_transfer_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The second attempt asks for the byte after the last one; digests are of the whole."""
    body = raw(SIZE)
    etag = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    turns = behaviours.in_turn(
        behaviours.cut(body, 1_000_000, fields=etag), behaviours.serve(body, etag='"v1"')
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == hashlib.sha256(body).hexdigest()
        assert [attempt["code"] for attempt in ended["attempts"]] == ["truncated", "ok"]
        assert [attempt["offset"] for attempt in ended["attempts"]] == [0, 1_000_000]
        assert origin.sent_bytes == SIZE


async def test_a_changed_source_starts_anew(tmp_path: Path) -> None:
    """Two halves of different files never become one image."""
    old, new = raw(SIZE, seed=1), raw(SIZE, seed=2)
    etag = {"ETag": '"old"', "Accept-Ranges": "bytes"}
    turns = behaviours.in_turn(
        behaviours.cut(old, 1_000_000, fields=etag), behaviours.serve(new, etag='"new"')
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == hashlib.sha256(new).hexdigest()
        assert ended["attempts"][1]["offset"] == 0


async def test_a_lying_range_is_found_out_and_pulled_once_more(tmp_path: Path) -> None:
    """A source that resumes with other bytes under the same ETag is caught by the digest."""
    old, new = raw(SIZE, seed=1), raw(SIZE, seed=2)
    tag = {"ETag": '"same"', "Accept-Ranges": "bytes"}
    turns = behaviours.in_turn(
        behaviours.cut(old, 1_000_000, fields=tag),
        behaviours.serve(new, etag='"same"'),
        behaviours.serve(new),
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), checksum="sha256:" + hashlib.sha256(new).hexdigest())
        assert ended["state"] == "succeeded"
        assert [attempt["code"] for attempt in ended["attempts"]] == ["truncated", "checksum-mismatch", "ok"]


async def test_limits_follow_the_file(tmp_path: Path) -> None:
    """SIGHUP takes up an edited file for new imports and discovery; a bad one is refused."""
    async with Origin({"/x": behaviours.serve(raw(2000))}) as origin, Running(tmp_path, origin) as service:
        assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
        service.write_config(size={"max_bytes": 1000})
        await _reload("config.taken")
        for path in ("/limits", "/v2/info/import", "/imports"):
            method = "OPTIONS" if path == "/imports" else "GET"
            document = (await service.call(method, path))[1]
            assert document.get("limits", document)["max_bytes"]["value"] == 1000, path
        assert (await service.run(url=origin.url("/x")))["verdict"]["code"] == "too-many-bytes"
        service.config.write_text("[size]\nmax_bytes = -1\n")
        await _reload("config.refused")
        assert (await service.get("/limits"))["limits"]["max_bytes"]["value"] == 1000


async def _reload(event: str) -> None:
    """Send SIGHUP, and wait until the log has what came of it."""
    with capture_logs() as lines:
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(60):
            while event not in [line["event"] for line in lines]:
                await asyncio.sleep(0.01)


async def test_another_name_for_loopback_is_refused(tmp_path: Path) -> None:
    """A web page that points its own name at this machine cannot use the service (DNS rebinding)."""
    async with Running(tmp_path) as service:
        status, problem, _ = await service.call("GET", "/imports", headers={"Host": "evil.example"})
        assert (status, problem["code"]) == (400, "request-invalid")
        assert (await service.call("GET", "/imports", headers={"Host": "localhost:1"}))[0] == 200


REFUSED_REQUESTS = {
    "userinfo": ("POST", "/imports", {"json": {"url": "https://u:hush@localhost/"}}, 400, "url-invalid"),
    "file": ("POST", "/imports", {"json": {"url": "file:///etc/passwd"}}, 400, "url-invalid"),
    "port": ("POST", "/imports", {"json": {"url": "https://a.example:22/"}}, 400, "url-invalid"),
    "loopback": ("POST", "/imports", {"json": {"url": "http://127.0.0.1/"}}, 400, "url-invalid"),
    "unknown key": (
        "POST",
        "/imports",
        {"json": {"url": "https://a.example/", "x": 1}},
        400,
        "request-invalid",
    ),
    "duplicate key": (
        "POST",
        "/imports",
        {"data": b'{"url": "a", "url": "b"}', "headers": {"Content-Type": "application/json"}},
        400,
        "request-invalid",
    ),
    "form": ("POST", "/imports", {"data": {"url": "https://a.example/"}}, 415, "media-type-unsupported"),
    "bad digest": (
        "POST",
        "/imports",
        {"json": {"url": "https://a.example/", "checksum": "crc32:0"}},
        400,
        "request-invalid",
    ),
    "reserved property": (
        "POST",
        "/imports",
        {"json": {"url": "https://a.example/", "properties": {"owner": "me"}}},
        400,
        "request-invalid",
    ),
    "bad key": (
        "POST",
        "/imports",
        {"json": {"url": "https://a.example/"}, "headers": {"Idempotency-Key": "a b"}},
        400,
        "request-invalid",
    ),
    "unknown import": ("GET", "/imports/nope", {}, 404, "unknown-import"),
    "unknown path": ("GET", "/nope", {}, 404, "not-found"),
    "unknown method": ("PUT", "/imports", {}, 405, "method-not-allowed"),
    "unknown filter": ("GET", "/imports?colour=red", {}, 400, "request-invalid"),
    "bad limit": ("GET", "/imports?limit=0", {}, 400, "request-invalid"),
    "bad marker": ("GET", "/imports?marker=nope", {}, 404, "unknown-import"),
    "unknown code": ("GET", "/errors/nope", {}, 404, "not-found"),
}


@pytest.mark.parametrize("name", REFUSED_REQUESTS)
async def test_refused_requests_are_problem_documents(name: str, tmp_path: Path) -> None:
    """RFC 9457: a type that leads to documentation, a stable code, words, advice, and no secrets."""
    method, path, options, status, code = REFUSED_REQUESTS[name]
    async with Running(tmp_path) as service:
        got, problem, headers = await service.call(method, path, **options)
        assert (got, problem["code"], problem["status"]) == (status, code, status)
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-openstack-request-id"] == problem["request_id"]
        assert problem["detail"]
        assert problem["advice"]
        assert "hush" not in str(problem)
        page = await service.get(problem["type"].removeprefix(service.base))
        assert page["code"] == code


async def test_a_large_body_is_refused_early(tmp_path: Path) -> None:
    """A request is kilobytes; two mebibytes of URL are not parsed."""
    async with Running(tmp_path) as service:
        body = io.BytesIO(b'{"url": "https://a.example/' + b"x" * 2_000_000 + b'"}')
        options = {"data": body, "headers": {"Content-Type": "application/json"}}
        status, problem, _ = await service.call("POST", "/imports", **options)
        assert (status, problem["code"]) == (413, "request-too-large")


async def test_imports_are_listed_filtered_and_paged(tmp_path: Path) -> None:
    """Newest first; `next` leads through all of them."""
    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        for path in ("/x", "/x", "/missing"):
            await service.run(url=origin.url(path))
        page = await service.get("/imports?limit=2")
        rest = await service.get(page["next"].removeprefix(service.base))
        assert [item["verdict"]["code"] for item in page["imports"] + rest["imports"]] == [
            "source-status",
            "ok",
            "ok",
        ]
        assert "next" not in rest
        failed = await service.get("/imports?state=failed")
        assert [item["verdict"]["fields"] for item in failed["imports"]] == [{"status": 404}]


async def test_submits_are_paced_per_project(tmp_path: Path) -> None:
    """At the limit passes, one past it is told when to come back."""
    async with (
        Origin() as origin,
        Running(tmp_path, origin, imports={"max_submits_per_minute": 2}) as service,
    ):
        for _ in range(2):
            await service.submit(url=origin.url("/x"))
        status, problem, headers = await service.call(
            "POST", "/imports", json={"url": origin.url("/x"), "disk_format": "raw"}
        )
        assert (status, problem["code"]) == (429, "queue-full")
        assert int(headers["retry-after"]) > 0


async def test_a_full_store_refuses_before_the_first_byte(tmp_path: Path) -> None:
    """The machine's reserve is never written into."""
    async with (
        Origin({"/x": behaviours.serve(raw(SIZE))}) as origin,
        Running(tmp_path, origin, store={"reserve_percent": 90.0, "reserve_bytes": 2**62}) as service,
    ):
        ended = await service.run(url=origin.url("/x"))
        assert ended["verdict"]["code"] == "store-full"
        assert service.traces() == []


async def test_an_import_is_counted_while_it_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between waiting and running it is counted too: whoever waits for both to be none finds it ended."""
    async with (
        Origin({"/disk": behaviours.serve(raw(100_000))}) as origin,
        Running(tmp_path, origin) as service,
    ):
        records = service.service.app.state.services.index.imports
        claim, may_go_on = records.claim, asyncio.Event()

        async def claim_later(*arguments: Any) -> Any:
            await may_go_on.wait()
            return await claim(*arguments)

        monkeypatch.setattr(records, "claim", claim_later)
        created = await service.submit(url=origin.url("/disk"))
        assert (await service.get("/healthz"))["imports"] == {"queued": 0, "running": 1}
        may_go_on.set()
        assert (await service.ended(created["id"]))["state"] == "succeeded"
        # Its end is told before its slot is free, so that the next one may wait for a moment longer.
        while (await service.get("/healthz"))["imports"] != {"queued": 0, "running": 0}:
            await asyncio.sleep(0.01)
