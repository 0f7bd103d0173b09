"""Bytes that another process left in a bucket: taken up once, on any host, and never by two."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from fetcher.crash import VARIABLE
from fetcher.errors import StoreFailed
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.inventory import listed
from fetcher.store.s3.store import Store
from tests.lab import behaviours
from tests.lab.bucket import BucketServer
from tests.lab.bucket_store import PART_BYTES, bucket_store, place_of
from tests.lab.origin import Origin
from tests.processes import Process
from tests.store.s3.test_service import LARGE, bucket_config, place_in
from tests.test_crash import config

DIGEST = hashlib.sha256(LARGE).hexdigest()


async def names_in(bucket: Bucket) -> list[str]:
    """Return the first folder of each key, and of each open upload."""
    found = [one.key.partition("/")[0] for one in await bucket.call(listed(bucket, ""))]
    return sorted([*found, *("upload" for _ in await bucket.call(bucket.uploads("")))])


async def test_a_frozen_host_cannot_touch_what_another_one_took_up(
    weed: BucketServer, tmp_path: Path
) -> None:
    """The second host goes on after the whole parts; the first one wakes up, and whatever it does fails."""
    rules = {"prefix": place_of(weed, tmp_path).prefix}
    second = tmp_path / "second"
    second.mkdir()
    with bucket_store(weed, tmp_path, **rules) as frozen, bucket_store(weed, second, **rules) as store:
        first = await frozen.stage("one", 1)
        await asyncio.to_thread(first.write, LARGE[: 2 * PART_BYTES + 5])
        await asyncio.to_thread(first.sync)
        taken = await store.reopen("one.1", 2 * PART_BYTES)
        assert taken is not None
        assert await store.read_back(taken, PART_BYTES - 5, 10) == LARGE[PART_BYTES - 5 : PART_BYTES + 5]
        with pytest.raises(StoreFailed):
            await frozen.commit(first, DIGEST)
        await frozen.discard(first)
        await frozen.remove_staged("one.1")
        assert (await frozen.staged_names(), await store.staged_names()) == ([], ["one.1"])
        await asyncio.to_thread(taken.write, LARGE[2 * PART_BYTES :])
        await store.commit(taken, DIGEST)
        await frozen.discard(first)
        assert b"".join([chunk async for chunk in store.read(DIGEST)]) == LARGE
        assert await store.remove(DIGEST)
        assert await names_in(store._bucket) == []


async def test_what_another_host_stages_is_not_swept(weed: BucketServer, tmp_path: Path) -> None:
    """A start removes what its own host left, and lets be what others work on."""
    rules = {"prefix": place_of(weed, tmp_path).prefix}
    second = tmp_path / "second"
    second.mkdir()
    with bucket_store(weed, tmp_path, **rules) as store, bucket_store(weed, second, **rules) as other:
        mine, theirs = await store.stage("mine", 1), await other.stage("theirs", 1)
        assert await store.staged_names() == ["mine.1"]
        assert await store.adopt(DIGEST, 0, {"mine.1"}) is None
        assert [one.name for one in await store.unclaimed()] == ["staging/mine.1"]
        await store.discard(mine)
        await other.discard(theirs)


async def test_a_small_base_is_carried_over_in_memory(weed: BucketServer, tmp_path: Path) -> None:
    """Bytes that are too few for a part go on as the beginning of the next one; a cut in the base, too."""
    with bucket_store(weed, tmp_path) as store:
        staged = await store.stage("one", 1)
        await asyncio.to_thread(staged.write, LARGE[:PART_BYTES])
        await store.settle(staged)
        for size in (PART_BYTES // 2, PART_BYTES // 4):
            await store.park(staged)
            again = await store.reopen(staged.name, size)
            assert again is not None
            staged = again
        other = bytes(100_000)
        await asyncio.to_thread(staged.write, other)
        await store.park(staged)  # What was there before the cut never comes back.
        again = await store.reopen(staged.name, staged.size)
        assert again is not None
        assert await store.read_back(again, PART_BYTES // 4, 100_000) == other
        staged = again
        await store.park(staged)
        again = await store.reopen(staged.name, PART_BYTES // 4)
        assert again is not None
        staged = again
        await asyncio.to_thread(staged.write, LARGE[PART_BYTES // 4 :])
        await store.commit(staged, DIGEST)
        assert b"".join([chunk async for chunk in store.read(DIGEST)]) == LARGE
        assert await names_in(store._bucket) == ["blobs", "objects"]
        assert store.space().used == len(LARGE)


@pytest.mark.parametrize("step", ["store.renamed", "store.settled"])
async def test_killed_in_its_commit_a_body_is_not_asked_for_again(
    step: str, weed: BucketServer, tmp_path: Path
) -> None:
    """The source answers once; the next start finds the whole body in the bucket, and makes the image."""
    turns = behaviours.in_turn(behaviours.serve(LARGE), behaviours.status(404))
    sections = bucket_config(weed, tmp_path)
    async with Origin({"/x": turns}) as origin:
        service = Process(config(tmp_path, origin, **sections))
        service.environment = {VARIABLE: step}
        async with service:
            body = {"url": origin.url("/x"), "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=body))[1]
            await service._process.wait()
            service.environment = {}
            await service.client.close()
            await service.start()
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert (ended["state"], ended["digests"]["sha256"]) == ("succeeded", DIGEST)
        bucket = Bucket(place_in(sections))
        bucket.open()
        try:
            assert await names_in(bucket) == ["blobs", "objects"]
        finally:
            bucket.close()


def test_a_store_that_cannot_be_opened_lets_go_of_everything(weed: BucketServer, tmp_path: Path) -> None:
    """A second process of this host is refused, and may try again when the first one has ended."""
    with bucket_store(weed, tmp_path) as store:
        again = Store(tmp_path / "host", store._bucket.place, max_bytes=1, reserve=lambda _total: 0)
        with pytest.raises(StoreFailed, match="in use"):
            again.open()
