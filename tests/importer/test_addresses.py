"""Bytes under one kind of address or another: a store that has both is one store."""

import asyncio
import hashlib
import signal
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fetcher.cli.exits import Exit
from fetcher.crash import VARIABLE
from fetcher.maintenance.backup import back_up
from fetcher.maintenance.fsck import Fsck
from tests.cli.conftest import Fetcher, fetcher
from tests.contract.index.postgres import PostgresPlaces
from tests.images import raw
from tests.importer.download.test_resume import OFTEN, SIZE, offsets, stalled_once, until_kept
from tests.lab import behaviours
from tests.lab.bucket import BucketServer
from tests.lab.origin import Origin
from tests.maintenance.test_service import LATER, rot
from tests.processes import Process
from tests.service import Running
from tests.store.s3.test_service import bucket_config, everything
from tests.test_crash import agree, config
from tests.test_crash_points import everything as bring_everything
from tests.test_crash_points import until_all_ended

__all__ = ["fetcher"]  # The fixture of the command line.

BODIES = {name: raw(300_000, seed=number) for number, name in enumerate("abc")}
ROUTES = {f"/{name}{turn}": behaviours.serve(body) for name, body in BODIES.items() for turn in ("", 2, 3)}
SHA512 = {"checksum": {"address": "sha512", "computed": ["md5", "sha512"]}}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sha512(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest()


def lying(*names: str) -> list[str]:
    return sorted(f"blobs/{name[:2]}/{name}" for name in names)


async def fetch(service: Running, image_id: str) -> tuple[bytes, str, str]:
    async with service.client.get(f"/v2/images/{image_id}/file") as answer:
        return await answer.read(), answer.headers["ETag"], answer.headers["Repr-Digest"]


async def test_a_store_goes_on_under_another_address_and_back(tmp_path: Path, fetcher: Fetcher) -> None:
    """What came under one is found under the other; nothing moves, no ETag changes, and all go at last."""
    a, b = BODIES["a"], BODIES["b"]
    async with Origin(ROUTES) as origin:
        async with Running(tmp_path, origin) as service:
            old = (await service.run(url=origin.url("/a")))["image_id"]
            before = await fetch(service, old)
        async with Running(tmp_path, origin, **SHA512) as service:
            assert await fetch(service, old) == before == (a, f'"{sha256(a)}"', before[2])
            again = await service.run(url=origin.url("/a2"))
            new = await service.run(url=origin.url("/b"))
            assert sorted(new["digests"]) == ["md5", "sha512"]
            assert service.traces() == lying(sha256(a), sha512(b))
            body, etag, told = await fetch(service, new["image_id"])
            assert (body, etag) == (b, f'"{sha512(b)}"')
            assert ("sha-512" in told, "sha-256" in told) == (True, False)
            shown = await service.get(f"/v2/images/{new['image_id']}")
            assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", sha512(b))
            checked = await fetcher("store", "check", "--config", service.config, "--json")
            assert (checked.code, checked.json) == (Exit.OK, {"blobs": 2, "findings": []})
        async with Running(tmp_path, origin) as service:
            third = await service.run(url=origin.url("/b2"))
            assert third["digests"]["sha256"] == sha256(b)
            assert service.traces() == lying(sha256(a), sha512(b))
            assert "sha-256" in (await fetch(service, new["image_id"]))[2]
            for image_id in (old, again["image_id"], new["image_id"], third["image_id"]):
                assert (await service.call("DELETE", f"/v2/images/{image_id}"))[0] == 204
            assert service.traces() == []
    agree(tmp_path / "data")


async def test_a_bucket_goes_on_under_another_address(tmp_path: Path, weed: BucketServer) -> None:
    """The same where the bytes are objects."""
    sections = bucket_config(weed, tmp_path)
    async with Origin(ROUTES) as origin:
        async with Running(tmp_path, origin, **sections) as service:
            await service.run(url=origin.url("/a"))
        async with Running(tmp_path, origin, **sections, **SHA512) as service:
            await service.run(url=origin.url("/a2"))
            made = (await service.run(url=origin.url("/b")))["image_id"]
            names = {name for name in await everything(service) if name.startswith("blobs/")}
            assert names == set(lying(sha256(BODIES["a"]), sha512(BODIES["b"])))
        async with Running(tmp_path, origin, **sections) as service:
            await service.run(url=origin.url("/b2"))
            assert len(await everything(service)) == 4
            assert (await fetch(service, made))[0] == BODIES["b"]
            maintenance = service.service.app.state.services.maintenance
            assert (await maintenance.scrub(before=LATER))["whole"] == 2


async def test_what_is_promised_or_told_is_computed(tmp_path: Path) -> None:
    """A digest that nobody computes otherwise is compared where a submitter or a source says it."""
    body = BODIES["c"]
    told = {"Repr-Digest": f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"}
    routes = {
        **ROUTES,
        "/told": behaviours.serve(body, fields=told),
        "/lie": behaviours.serve(BODIES["a"], fields=told),
    }
    async with Origin(routes) as origin, Running(tmp_path, origin, **SHA512) as service:
        good = await service.run(url=origin.url("/b"), checksum=f"sha256:{sha256(BODIES['b'])}")
        assert (good["state"], good["verified_by"]) == ("succeeded", "submitter")
        assert good["digests"]["sha256"] == sha256(BODIES["b"])
        bad = await service.run(url=origin.url("/a"), checksum=f"sha256:{sha256(BODIES['b'])}")
        assert (bad["state"], bad["verdict"]["code"]) == ("refused", "checksum-mismatch")
        by_source = await service.run(url=origin.url("/told"))
        assert (by_source["state"], by_source["digests"]["sha256"]) == ("succeeded", sha256(body))
        assert (await service.run(url=origin.url("/lie")))["verdict"]["code"] == "checksum-mismatch"
        assert service.traces() == lying(sha512(BODIES["b"]), sha512(body))


async def test_a_long_address_is_scrubbed_repaired_swept_and_saved(tmp_path: Path) -> None:
    """Damage is found and mended, files that nobody knows are told, and a backup is a store of its own."""
    body = BODIES["b"]
    async with Origin(ROUTES) as origin:
        async with Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/a"))
        async with Running(tmp_path, origin, **SHA512) as service:
            image_id = (await service.run(url=origin.url("/b")))["image_id"]
            services = service.service.app.state.services
            path = services.store.blob_path(sha512(body))
            rot(path)
            found = await services.maintenance.scrub(before=LATER)
            assert (found["whole"], found["corrupt"]) == (1, 1)
            assert await services.maintenance.repair() == 1
            assert path.read_bytes() == body
            stranger = services.store.blob_path("f" * 128)
            stranger.write_bytes(b"?")
            fsck = Fsck(services.index, services.store, service.data, bytes_per_second=1 << 40)
            assert [one.address for one in await fsck.unknown_files()] == ["f" * 128]
            stranger.unlink()
            made = await back_up(services.store, tmp_path / "copy" / "data")
            assert (made.blobs, made.left_out) == (2, [])
        async with Running(tmp_path / "copy", origin) as service:
            assert (await fetch(service, image_id))[0] == body
    agree(tmp_path / "copy" / "data")


@pytest.mark.parametrize(
    "fate", ["store.renamed:1", "importer.announced:2", "store.removing:1", "store.adopted:1"]
)
async def test_killed_under_one_address_and_started_under_the_other(fate: str, tmp_path: Path) -> None:
    """A start knows from the record which blob was about to appear, whatever its own setting is."""
    body = raw(300_000)
    routes = {
        "/a": behaviours.serve(body),
        "/b": behaviours.serve(body[1:]),
        "/html": behaviours.serve(b"<html>"),
    }
    async with Origin(routes) as origin:
        service = Process(config(tmp_path, origin, **SHA512))
        for each in ["store.renamed", fate] if fate.startswith("store.adopted") else [fate]:
            service.environment = {VARIABLE: each}
            with suppress(aiohttp.ClientError, OSError, AssertionError):
                await service.start()
                await bring_everything(service, origin)
            async with asyncio.timeout(30):
                assert await service._process.wait() == -signal.SIGKILL, f"{each} was never come by"
            await service.kill()
        service.environment = {}
        service.config = config(tmp_path, origin)
        await service.start()
        for record in await until_all_ended(service):
            assert record["state"] == ("refused" if record["url"].endswith("/html") else "succeeded")
        await service.kill()
        agree(tmp_path / "data")


@pytest.mark.parametrize("turn", ["to the longer", "to the shorter"])
async def test_a_pull_goes_on_under_another_address(turn: str, tmp_path: Path) -> None:
    """Bytes are known again by the digest that the earlier process noted."""
    body = raw(SIZE)
    settings: list[dict[str, Any]] = [dict(OFTEN), {**OFTEN, **SHA512}]
    first, second = settings if turn == "to the longer" else settings[::-1]
    async with (
        Origin({"/x": stalled_once(body)}) as origin,
        Process(config(tmp_path, origin, **first)) as service,
    ):
        sent = {"url": origin.url("/x"), "disk_format": "raw"}
        made = (await service.call("POST", "/imports", json=sent))[1]
        await until_kept(tmp_path / "data", 1_048_576)
        await service.kill()
        service.config = config(tmp_path, origin, **second)
        await service.start()
        ended = await service.until(made["id"], "succeeded", "failed", "refused")
        assert ended["digests"]["sha512"] == sha512(body)
        assert offsets(ended)[-1] > 0
        await service.kill()
        agree(tmp_path / "data")


async def test_two_hosts_with_different_settings(tmp_path: Path, databases: PostgresPlaces) -> None:
    """Each finds, serves, scrubs and removes what the other one keeps."""
    database, blobs = databases.new(), tmp_path / "blobs"
    blobs.mkdir()
    hosts = []
    async with Origin(ROUTES) as origin:
        for name, sections in (("one", {}), ("two", SHA512)):
            (tmp_path / name / "data").mkdir(parents=True, mode=0o700)
            (tmp_path / name / "data" / "blobs").symlink_to(blobs)
            shared = {"index": {"url": database.as_url}, "cluster": {"host": name}}
            hosts.append(Running(tmp_path / name, origin, **shared, **sections))
        async with hosts[0], hosts[1]:
            made = []
            for number, path in enumerate(("/a", "/b", "/a2", "/b2", "/c", "/c2")):
                made.append(await hosts[number % 2].run(url=origin.url(path)))
            assert {one["state"] for one in made} == {"succeeded"}
            assert len([path for path in blobs.rglob("*") if path.is_file()]) == len(BODIES)
            for host in hosts:
                maintenance = host.service.app.state.services.maintenance
                assert (await maintenance.scrub(before=LATER))["whole"] == len(BODIES)
                assert (await fetch(host, made[0]["image_id"]))[0] == BODIES["a"]
                assert (await fetch(host, made[1]["image_id"]))[0] == BODIES["b"]
            for number, one in enumerate(made):
                path = f"/v2/images/{one['image_id']}"
                assert (await hosts[(number + 1) % 2].call("DELETE", path))[0] == 204
            assert [path for path in blobs.rglob("*") if path.is_file()] == []
