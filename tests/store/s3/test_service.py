"""The whole service with its images in a bucket: imported, fetched, looked after, killed and cancelled."""

import asyncio
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fetcher.cli.exits import Exit
from fetcher.start.command import main
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.inventory import listed, staged_records
from fetcher.store.s3.place import Place, split
from tests.cli.conftest import Fetcher
from tests.images import raw
from tests.importer.stages.test_converting import image_of
from tests.lab import behaviours
from tests.lab.bucket import KEYS, UNKNOWN, BucketServer
from tests.lab.bucket_store import PART_BYTES, credentials
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running
from tests.test_crash import config

LARGE = raw(300_000) + bytes(range(256)) * 50_000  # Two parts and a bit.
SMALL = raw(200_000, seed=2)
ROUTES = {
    "/large": behaviours.serve(LARGE),
    "/small": behaviours.serve(SMALL),
    "/packed.gz": behaviours.serve(gzip.compress(SMALL)),
}


def bucket_config(weed: BucketServer, folder: Path, **store: Any) -> dict[str, dict[str, Any]]:
    """Return the sections that put images into the lab's bucket."""
    return {
        "store": {"url": f"s3://images/{uuid4()}", **store},
        "bucket": {
            "endpoint": weed.endpoint,
            "credentials_file": str(credentials(folder)),
            "part_bytes": PART_BYTES,
            "patience_seconds": 5.0,
        },
    }


def place_in(sections: dict[str, dict[str, Any]]) -> Place:
    """Return the place that a configuration names."""
    bucket, prefix = split(sections["store"]["url"])
    return Place(bucket=bucket, prefix=prefix, **sections["bucket"])


async def fetch(service: Running, image: str, **options: Any) -> tuple[int, bytes, dict[str, str]]:
    async with service.client.get(f"/v2/images/{image}/file", allow_redirects=False, **options) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def everything(service: Running) -> list[str]:
    """Return the key of everything below the service's prefix, open uploads included."""
    bucket = service.service.app.state.services.store._bucket

    async def look() -> list[str]:
        found = [one.key async for one in bucket.objects("")]
        return [*found, *(f"upload {key}" for key, _upload, _begun in await bucket.uploads(""))]

    return list(await bucket.call(look()))


async def test_images_live_in_the_bucket(tmp_path: Path, weed: BucketServer, fetcher: Fetcher) -> None:
    """Whole and packed: what is fetched, whole or in part, is what the source gave; no file is here."""
    sections = bucket_config(weed, tmp_path)
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **sections) as service:
        large = (await service.run(url=origin.url("/large")))["image_id"]
        packed = await service.run(url=origin.url("/packed.gz"))
        small = packed["image_id"]
        for image, body in ((large, LARGE), (small, SMALL)):
            assert (await fetch(service, image))[:2] == (200, body)
            ranged = {"Range": "bytes=100000-199999"}
            assert (await fetch(service, image, headers=ranged))[:2] == (206, body[100_000:200_000])
        names = await everything(service)
        assert {name.split("/")[0] for name in names} == {"blobs", "objects"}
        assert len(names) == 4
        assert not (service.data / "blobs").exists()
        assert list((service.data / "staging").iterdir()) == []
        whole = await fetcher("store", "check", "--config", service.config, "--json")
        assert (whole.code, whole.json) == (Exit.OK, {"blobs": 2, "findings": []})
        told = json.dumps([await service.get("/limits"), packed])
        assert not any(secret in told for secret in KEYS.values())
        status, _body, _headers = await service.call("DELETE", f"/v2/images/{small}")
        assert status == 204
        assert len(await everything(service)) == 2


async def test_a_conversion_stages_locally_and_says_so(tmp_path: Path, weed: BucketServer) -> None:
    """A disk for which a program needs files is brought here and back; its provenance tells."""
    disk = image_of(tmp_path, raw(200_000), "vmdk")
    sections = {**bucket_config(weed, tmp_path), "convert": {"target": "raw"}}
    async with (
        Origin({"/disk": behaviours.serve(disk)}) as origin,
        Running(tmp_path, origin, **sections) as service,
    ):
        ended = await service.run(url=origin.url("/disk"), disk_format="vmdk")
        assert ended["state"] == "succeeded", ended["verdict"]
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert story["stages"]["converted"]["staged"] == "local"
        assert list((service.data / "staging").iterdir()) == []


async def test_clients_are_sent_to_the_bucket_where_that_is_wanted(
    tmp_path: Path, weed: BucketServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The signed URL gives the very bytes and holds briefly; damaged or missing bytes lead nowhere."""
    sections = bucket_config(weed, tmp_path, redirect_downloads=True)
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **sections) as service:
        image = (await service.run(url=origin.url("/small")))["image_id"]
        status, body, headers = await fetch(service, image)
        assert (status, body, headers["Cache-Control"]) == (307, b"", "no-store")
        assert headers["Location"].startswith(weed.endpoint)
        assert "X-Amz-Expires=300" in headers["Location"]
        async with service.client.get(headers["Location"], headers={"Range": "bytes=5-"}) as answer:
            assert (answer.status, await answer.read()) == (206, SMALL[5:])
        async with service.client.head(f"/v2/images/{image}/file") as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(SMALL)))
        assert "X-Amz-Signature" not in caplog.text
        services = service.service.app.state.services
        store, sha256 = services.store, hashlib.sha256(SMALL).hexdigest()
        pointer = (await store._bucket.call(store._blobs.find(sha256)))[0]
        await store._bucket.call(store._bucket.put(pointer.key, b"not these bytes"))
        assert (await fetch(service, image))[0] == 503  # Another length leads nowhere.
        found = await services.maintenance._check((await services.index.maintenance.page())[0])
        assert found == "corrupt"
        assert (await fetch(service, image))[0] == 503
        assert await services.maintenance.repair() == 1
        assert (await fetch(service, image))[0] == 307


async def test_cancelled_imports_leave_no_upload(tmp_path: Path, weed: BucketServer) -> None:
    """Neither parts, nor records, nor objects are left of what was half there."""
    stuck = behaviours.stall(LARGE, 11_000_000)
    sections = bucket_config(weed, tmp_path)
    async with Origin({"/stuck": stuck}) as origin, Running(tmp_path, origin, **sections) as service:
        created = await service.submit(url=origin.url("/stuck"))
        while not [name for name in await everything(service) if name.startswith("upload")]:
            await asyncio.sleep(0.01)
        status, _document, _headers = await service.call("DELETE", f"/imports/{created['id']}")
        assert status in {200, 202, 204}
        assert (await service.ended(created["id"]))["state"] == "cancelled"
        while await everything(service):
            await asyncio.sleep(0.01)


async def until_marked(bucket: Bucket, size: int) -> None:
    """Wait until a record in the bucket says that so many bytes are there and digested."""

    async def look() -> bool:
        found = (await staged_records(bucket)).found
        return any(record.mark_size >= size for record, _changed_at in found.values())

    while not await bucket.call(look()):
        await asyncio.sleep(0.01)


async def test_a_killed_pull_goes_on_after_its_last_whole_part(tmp_path: Path, weed: BucketServer) -> None:
    """After kill -9 the origin is asked for what comes after the parts that count; the image is whole."""
    tag = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    turns = behaviours.in_turn(
        behaviours.stall(LARGE, 12_000_000, fields=tag), behaviours.serve(LARGE, etag='"v1"')
    )
    sections = {**bucket_config(weed, tmp_path), "resume": {"mark_bytes": 262_144}}
    sections["store"]["write_bytes"] = 262_144
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin, **sections)) as service:
        bucket = Bucket(place_in(sections))
        bucket.open()
        status, created = await service.call(
            "POST", "/imports", json={"url": origin.url("/x"), "disk_format": "raw"}
        )
        assert status == 202
        async with asyncio.timeout(60):
            await until_marked(bucket, PART_BYTES // 2)
        await service.kill()
        await service.start()
        ended = await service.until(created["id"], "succeeded", "failed", "refused")
        assert ended["digests"]["sha256"] == hashlib.sha256(LARGE).hexdigest()
        assert ended["attempts"][-1]["offset"] >= PART_BYTES // 2
        async with service.client.get(f"/v2/images/{created['image_id']}/file") as answer:
            assert await answer.read() == LARGE
        names = [one.key for one in await bucket.call(listed(bucket, ""))]
        assert sorted(name.partition("/")[0] for name in names) == ["blobs", "objects"]
        assert await bucket.call(bucket.uploads("")) == []
        bucket.close()


async def test_what_is_wrong_with_a_bucket_is_said_before_a_start(
    tmp_path: Path, weed: BucketServer, fetcher: Fetcher, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check-config and doctor try it, and name neither keys nor endpoint."""
    sections = bucket_config(weed, tmp_path)
    good, bad = Running(tmp_path, **sections), Running(tmp_path, **sections)
    good.write_config()
    assert await asyncio.to_thread(main, ["--config", str(good.config), "--check-config"]) == 0
    told = await fetcher("doctor", "--config", good.config, "--json")
    assert {"what": "bucket", "level": "ok"}.items() <= bucket_finding(told.json).items()
    bad.config = tmp_path / "bad.toml"
    bad.write_config(bucket={"credentials_file": str(credentials(tmp_path, UNKNOWN))})
    assert await asyncio.to_thread(main, ["--config", str(bad.config), "--check-config"]) == 2
    said = capsys.readouterr().err
    assert "does not know the access key" in said
    finding = bucket_finding((await fetcher("doctor", "--config", bad.config, "--json")).json)
    assert finding["level"] == "bad"
    assert not any(
        secret in said + str(finding) for secret in (*UNKNOWN.values(), *KEYS.values(), weed.endpoint)
    )


def bucket_finding(document: Any) -> dict[str, str]:
    """Return what doctor found of the bucket."""
    return next(finding for finding in document["findings"] if finding["what"] == "bucket")


async def test_gc_removes_what_nothing_leads_to(tmp_path: Path, weed: BucketServer, fetcher: Fetcher) -> None:
    """Strange pointers, orphans and staged leftovers are found, listed and removed; images stay."""
    sections = bucket_config(weed, tmp_path)
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **sections) as service:
        image = (await service.run(url=origin.url("/small")))["image_id"]
        store = service.service.app.state.services.store
        strange = await store.stage("strange", 1)
        await asyncio.to_thread(strange.write, b"unknown")
        await store.commit(strange, "0" * 64)
        await store.stage("left", 1)
        await store._bucket.call(store._bucket.put("objects/orphan/1", b"nobody"))
    checked = await fetcher("store", "check", "--config", service.config, "--json")
    kinds = sorted(finding["kind"] for finding in checked.json["findings"])
    assert kinds == ["file-unknown", "file-unknown"]  # What is staged may be a running server's.
    gone = await fetcher("store", "gc", "--config", service.config, "--json")
    assert (gone.code, len(gone.json["files"])) == (Exit.OK, 3)
    assert all(name.startswith("s3://images/") for name in gone.json["files"])
    async with Running(tmp_path, **sections) as again:
        assert (await fetch(again, image))[:2] == (200, SMALL)
        assert len(await everything(again)) == 2


async def test_a_backup_says_that_images_stay(tmp_path: Path, weed: BucketServer, fetcher: Fetcher) -> None:
    """Index and keys are copied; where the bytes are is said, and the copy works on the same bucket."""
    sections = bucket_config(weed, tmp_path)
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **sections) as service:
        image = (await service.run(url=origin.url("/small")))["image_id"]
        made = await fetcher("store", "backup", tmp_path / "copy", "--config", service.config, "--json")
        assert made.code == Exit.OK
        assert (made.json["blobs"], made.json["in_bucket"]) == (1, sections["store"]["url"])
    sections["store"]["folder"] = str(tmp_path / "copy")
    async with Running(tmp_path, **sections) as again:
        assert (await fetch(again, image))[:2] == (200, SMALL)
