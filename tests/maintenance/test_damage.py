"""Bytes that the disk lost: not given out, not shared, healed by a new import, told to the operator."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from fetcher.importer.methods.glance_download import METHOD as GLANCE_DOWNLOAD
from fetcher.maintenance import Maintenance
from fetcher.maintenance.repair import CUT_SHORT, ELSEWHERE, NO_RECORD, SENT, split_sources
from tests.api.image_v2.cloud import DISK, OCTETS, Cloud
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.maintenance.test_service import LATER, parts, rot
from tests.service import Running

BODY = raw(300_000)
NAME = hashlib.sha256(BODY).hexdigest()


async def note_of(service: Running) -> str | None:
    """What stands beside the one blob."""
    return (await service.service.app.state.services.index.maintenance.find(NAME)).note


@pytest.mark.parametrize("how", ["corrupt", "missing"])
async def test_damaged_bytes_are_not_given_out(how: str, tmp_path: Path) -> None:
    """From the mark to the repair: 503 with a code, whole or in part; a copy that a client has stays good."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        image = (await service.run(url=origin.url("/x")))["image_id"]
        path = f"/v2/images/{image}/file"
        maintenance, store = parts(service)
        if how == "corrupt":
            rot(store.blob_path(NAME))
        else:
            store.blob_path(NAME).unlink()
        assert (await maintenance.scrub(before=LATER))[how] == 1
        for headers in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=-5"}):
            status, document, answered = await service.call("GET", path, headers=headers)
            assert (status, document["error"]["type"]) == (503, "bytes-damaged")
            assert document["error"]["fields"]["fault"] == how
            assert int(answered["retry-after"]) > 0
            assert "repr-digest" not in answered
            async with service.client.head(path, headers=headers) as head:
                assert head.status == 503
        kept = {"If-None-Match": f'"{NAME}"'}
        assert (await service.call("GET", path, headers=kept))[0] == 304
        assert await maintenance.repair() == 1
        async with service.client.get(path) as answer:
            assert (answer.status, await answer.read()) == (200, BODY)


@pytest.mark.parametrize("size", [100, 400_000])
async def test_a_file_of_another_size_is_seen_before_any_scrub(size: int, tmp_path: Path) -> None:
    """An answer never breaks off after its head, or ends where the image does not."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        image = (await service.run(url=origin.url("/x")))["image_id"]
        store = parts(service)[1]
        with store.blob_path(NAME).open("r+b") as file:
            file.truncate(size)
        status, document, _headers = await service.call("GET", f"/v2/images/{image}/file")
        assert (status, document["error"]["type"]) == (503, "bytes-damaged")


async def test_damaged_bytes_are_not_given_out_by_nginx_either(tmp_path: Path) -> None:
    """The place is not even named."""
    async with Cloud(tmp_path, server={"x_accel_location": "/blobs"}) as cloud:
        image = await cloud.make_active()
        maintenance, store = parts(cloud)
        rot(store.blob_path(hashlib.sha256(DISK).hexdigest()))
        await maintenance.scrub(before=LATER)
        status, _body, headers = await cloud.fetch("alice", image["id"])
        assert status == 503
        assert "x-accel-redirect" not in headers


async def test_staged_bytes_that_rotted_make_no_image(tmp_path: Path) -> None:
    """The import call is refused, and works once somebody has sent the same bytes again."""
    async with Cloud(tmp_path) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}"
        await cloud.want(204, "alice", "PUT", f"{path}/stage", data=DISK, headers=OCTETS)
        maintenance, store = parts(cloud)
        rot(store.blob_path(hashlib.sha256(DISK).hexdigest()))
        await maintenance.scrub(before=LATER)
        method = {"json": {"method": {"name": "glance-direct"}}}
        refused = await cloud.want(503, "alice", "POST", f"{path}/import", **method)
        assert refused["error"]["type"] == "bytes-damaged"
        assert (await cloud.want(200, "alice", "GET", path))["status"] == "uploading"
        await cloud.make_active(DISK, who="bob")
        await cloud.want(202, "alice", "POST", f"{path}/import", **method)
        assert (await cloud.fetch("alice", image["id"]))[1] == DISK


@pytest.mark.parametrize("is_marked", [True, False])
async def test_whoever_brings_the_bytes_again_heals_them(is_marked: bool, tmp_path: Path) -> None:
    """A new import never joins a file that nobody has read since it rotted: its own replaces it."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        first = (await service.run(url=origin.url("/x")))["image_id"]
        maintenance, store = parts(service)
        rot(store.blob_path(NAME))
        if is_marked:
            await maintenance.scrub(before=LATER)
        second = (await service.run(url=origin.url("/x")))["image_id"]
        for image in (first, second):
            async with service.client.get(f"/v2/images/{image}/file") as answer:
                assert (answer.status, await answer.read()) == (200, BODY)
        assert await maintenance.scrub(before=LATER) == {"whole": 1, "missing": 0, "corrupt": 0, "unread": 0}
        assert service.traces() == [f"blobs/{NAME[:2]}/{NAME}"]


@pytest.mark.parametrize("how", ["corrupt", "missing", "marked"])
async def test_nothing_damaged_is_reused(how: str, tmp_path: Path) -> None:
    """A 304 for bytes that are not there any more is found out, marked and healed by a pull of the whole."""
    routes = {"/x": behaviours.serve(BODY, etag='"v1"')}
    reuse = {"revalidate": "project"}
    async with Origin(routes) as origin, Running(tmp_path, origin, reuse=reuse) as service:
        await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        if how == "missing":
            store.blob_path(NAME).unlink()
        else:
            rot(store.blob_path(NAME))
        if how == "marked":
            await maintenance.scrub(before=LATER)
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        assert origin.sent_bytes == 2 * len(BODY)
        assert (origin.requests[1].header("If-None-Match") is None) == (how == "marked")
        assert store.blob_path(NAME).read_bytes() == BODY
        assert await service.service.app.state.services.index.maintenance.faulty() == []


async def test_what_is_whole_after_all_is_not_pulled(tmp_path: Path) -> None:
    """A mark that outlived its reason, over a crash or a bad cable, goes without the network."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        rot(store.blob_path(NAME))
        await maintenance.scrub(before=LATER)
        rot(store.blob_path(NAME))  # The bit falls back.
        assert await maintenance.repair() == 1
        assert len(origin.requests) == 1


async def test_a_mend_does_not_wait_for_the_scrub(tmp_path: Path) -> None:
    """Reading everything may take days; what is known to be damaged comes back meanwhile."""
    other = raw(400_000, seed=5)
    routes = {"/x": behaviours.serve(BODY), "/y": behaviours.serve(other)}
    rules = {"repair": True, "scrub_days": 1e-9, "scrub_bytes_per_second": 65_536}
    async with Origin(routes) as origin, Running(tmp_path, origin, maintenance=rules) as service:
        for path in routes:
            await service.run(url=origin.url(path))
        maintenance, store = parts(service)
        store.blob_path(NAME).unlink()
        assert (
            await maintenance._check(await service.service.app.state.services.index.maintenance.find(NAME))
            == "missing"
        )
        importer = service.service.app.state.services.importer
        reading = asyncio.Event()

        async def for_ever(_seconds: float) -> None:
            reading.set()
            await asyncio.Event().wait()

        running = asyncio.create_task(
            Maintenance(importer.context, importer.forget_old, sleep=for_ever).run()
        )
        async with asyncio.timeout(30):
            await reading.wait()
            while await service.service.app.state.services.index.maintenance.faulty():
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})
        assert store.blob_path(NAME).read_bytes() == BODY


async def test_why_bytes_are_lost_stands_beside_them(tmp_path: Path) -> None:
    """A repair that fails is noted in the index, with the reason; once the bytes are back, the note goes."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x?token=hush"))
        maintenance, store = parts(service)
        store.blob_path(NAME).unlink()
        await maintenance.scrub(before=LATER)
        assert await maintenance.repair() == 0
        shown = f"{origin.url('/x')}?token=REDACTED"
        assert await note_of(service) == CUT_SHORT.format(url=shown)
        assert len(origin.requests) == 1
        await service.run(url=origin.url("/x"))
        assert await note_of(service) is None
        store.blob_path(NAME).unlink()
        await maintenance.scrub(before=LATER)
        origin.routes["/x"] = behaviours.status(404)
        assert await maintenance.repair() == 0
        said = await note_of(service)
        assert said is not None
        assert CUT_SHORT.format(url=shown) in said
        assert "404" in said


def story(method: str, url: str) -> dict[str, object]:
    return {"method": method, "submitted": {"url": url, "project_id": "p"}}


def test_each_way_of_coming_here_says_whether_it_can_be_gone_again() -> None:
    """Only a pull of a URL without secrets can; the others have their own sentence."""
    assert split_sources([]) == ([], [NO_RECORD])
    assert split_sources([story("upload", "")]) == ([], [SENT])
    assert split_sources([story("glance-direct", "")]) == ([], [SENT])
    assert split_sources([story("web-download", "s3://b/k")]) == ([], [ELSEWHERE.format(url="s3://b/k")])
    assert split_sources([story("glance-download", "http://far/v2/images/1/file")]) == (
        [],
        [GLANCE_DOWNLOAD.unrepeatable_reason],
    )
    cut = "https://a.example/x?sig=REDACTED"
    both = [story("web-download", "https://a.example/x"), story("web-download", cut)]
    assert split_sources([*both, *both]) == (
        [("https://a.example/x", "p")],
        [CUT_SHORT.format(url=cut)],
    )
