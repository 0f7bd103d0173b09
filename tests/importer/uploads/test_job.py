"""Bodies that are sent to us: deadlines, shutdown, and the other ways that they end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fetcher.errors import NotReady
from fetcher.importer.methods.method import Flow
from fetcher.importer.methods.registry import names_of
from tests.api.image_v2.cloud import DISK, OCTETS, Cloud
from tests.images import raw
from tests.service import Running


class Tap:
    """A body that begins, and goes on when told to."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()

    async def flow(self) -> AsyncIterator[bytes]:
        """Some bytes, then none until the tap is open."""
        yield raw(100_000)
        await self.is_open.wait()


async def begin(cloud: Cloud, image_id: str, tap: Tap, way: str = "file") -> asyncio.Task[Any]:
    """Start sending, and wait until the service takes it in."""
    path = f"/images/{image_id}/{way}"
    sending = asyncio.create_task(cloud.ask("alice", "PUT", path, data=tap.flow(), headers=OCTETS))
    status = "saving" if way == "file" else "uploading"
    while (await cloud.want(200, "alice", "GET", f"/images/{image_id}"))["status"] != status:
        await asyncio.sleep(0)
    return sending


async def test_a_body_has_a_deadline(tmp_path: Path) -> None:
    """However steadily it drips."""
    tap = Tap()
    async with Cloud(tmp_path, pace={"total_seconds": 0.5}) as cloud:
        image = await cloud.make()
        sending = await begin(cloud, image["id"], tap)
        status, document, _headers = await sending
        tap.is_open.set()
        assert (status, document["error"]["type"]) == (408, "deadline-passed")
        assert cloud.traces() == []


async def test_a_stopping_service_ends_what_is_sent(tmp_path: Path) -> None:
    """The sender is told to come back, and the record waits for bytes again after the next start."""
    taps = {way: Tap() for way in ("file", "stage")}
    patient = {"stall_seconds": 600.0, "min_bytes_per_second": 1}  # Else a slow machine is a slow sender.
    async with Cloud(tmp_path, inbound=patient) as cloud:
        images = {way: (await cloud.make())["id"] for way in taps}
        sending = [await begin(cloud, images[way], tap, way) for way, tap in taps.items()]
        importer = cloud.service.app.state.services.importer
        await importer.close()
        for task, tap in zip(sending, taps.values(), strict=True):
            status, document, _headers = await task
            tap.is_open.set()
            assert (status, document["error"]["type"]) == (503, NotReady.code)
        other = await cloud.make()
        options = {"data": DISK, "headers": OCTETS}
        document = await cloud.want(503, "alice", "PUT", f"/images/{other['id']}/file", **options)
        assert document["error"]["type"] == "not-ready"
    async with Cloud(tmp_path) as cloud:
        for image_id in images.values():
            assert (await cloud.want(200, "alice", "GET", f"/images/{image_id}"))["status"] == "queued"
        listed = await cloud.get("/imports", headers={"X-Auth-Token": "token of alice"})
        ended = {record["method"]: record["verdict"]["code"] for record in listed["imports"]}
        assert ended == dict.fromkeys(("upload", "stage"), "interrupted")
        assert set(ended) == set(names_of({Flow.SEND, Flow.STAGE}))
        assert cloud.traces() == []


async def test_a_service_that_stops_while_a_body_is_entered_takes_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the row and its first byte, nobody knows of an upload but its own request."""
    tap = Tap()
    async with Cloud(tmp_path, inbound={"stall_seconds": 600.0, "min_bytes_per_second": 1}) as cloud:
        image_id = (await cloud.make())["id"]
        importer = cloud.service.app.state.services.importer
        uploads = cloud.service.app.state.services.index.uploads
        begin_upload = uploads.begin

        async def begin_and_stop(*args: Any) -> None:
            await begin_upload(*args)
            await importer.close()

        monkeypatch.setattr(uploads, "begin", begin_and_stop)
        options = {"data": tap.flow(), "headers": OCTETS}
        document = await cloud.want(503, "alice", "PUT", f"/images/{image_id}/file", **options)
        tap.is_open.set()
        assert document["error"]["type"] == NotReady.code
    async with Cloud(tmp_path) as cloud:
        assert (await cloud.want(200, "alice", "GET", f"/images/{image_id}"))["status"] == "queued"
        assert cloud.traces() == []


async def test_bytes_that_are_gone_are_missed_before_the_answer(tmp_path: Path) -> None:
    """A store that lost a file answers 503, and never half an image."""
    async with Cloud(tmp_path) as cloud:
        image = await cloud.make_active()
        for path in (cloud.data / "blobs").rglob("*"):
            if path.is_file():
                path.unlink()
        assert (await cloud.fetch("alice", image["id"]))[0] == 503


async def test_nobody_has_a_token_in_local_mode(tmp_path: Path) -> None:
    """An image of another service is then asked for without one."""
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    async with Running(tmp_path / "far") as far:
        remotes = {"remotes": [{"region": "Far", "url": far.base}]}
        allow = {"allow": [{"cidr": "127.0.0.1/32", "ports": [int(far.base.rpartition(":")[2])]}]}
        async with Running(tmp_path / "near", image_api=remotes, address=allow) as near:
            source = (await far.call("POST", "/v2/images", json={"disk_format": "raw"}))[1]["id"]
            await far.call("PUT", f"/v2/images/{source}/file", data=DISK, headers=OCTETS)
            image = (await near.call("POST", "/v2/images", json={}))[1]["id"]
            method = {"name": "glance-download", "glance_region": "Far", "glance_image_id": source}
            path = f"/v2/images/{image}"
            status, _, _ = await near.call("POST", f"{path}/import", json={"method": method})
            assert status == 202
            task = (await near.get(f"{path}/tasks"))["tasks"][0]
            assert (await near.ended(task["id"]))["state"] == "succeeded"
            assert (await near.get(path))["size"] == len(DISK)
