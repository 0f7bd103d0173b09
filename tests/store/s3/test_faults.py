"""A store in a bucket whose server is busy, away, slow, full or wrong: it waits, and never lies."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fetcher.errors import Shortage, StoreFailed, StoreFull
from fetcher.importer.stored_blobs import fault_of
from fetcher.store.s3.store import Store
from tests.lab.bucket import KEYS, UNKNOWN, BucketServer
from tests.lab.bucket_store import PART_BYTES, bucket_store, credentials
from tests.lab.unruly import Kind, Trick, Unruly, unruly

BODY = bytes(range(256)) * 48_000  # Two parts and a bit.
DIGEST = hashlib.sha256(BODY).hexdigest()
PASSING: list[Kind] = ["busy", "broken", "reset", "lost", "cut", "slow"]


@pytest.fixture(scope="module")
def server(weed: BucketServer) -> Iterator[Unruly]:
    with unruly(weed) as found:
        yield found


@pytest.fixture(scope="module")
def opened(server: Unruly, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("bucket")
    with bucket_store(server, folder, request_seconds=5.0) as store:  # type: ignore[arg-type] # it has an endpoint
        yield store


@pytest.fixture
def store(opened: Store, server: Unruly) -> Iterator[Store]:
    server.tricks.clear()
    yield opened
    server.tricks.clear()


async def put(store: Store, import_id: str, body: bytes = BODY) -> str:
    staged = await store.stage(import_id, 1)
    for begin in range(0, len(body), 1_000_000):
        await asyncio.to_thread(staged.write, body[begin : begin + 1_000_000])
    sha256 = hashlib.sha256(body).hexdigest()
    async with store.holding(sha256):
        await store.commit(staged, sha256)
    return sha256


async def read(store: Store, sha256: str = DIGEST) -> bytes:
    return b"".join([chunk async for chunk in store.read(sha256)])


async def nothing_left(store: Store) -> None:
    """Nothing is staged, no upload is open, and no object is there that nothing leads to."""
    assert await store.staged_names() == []
    assert await store._bucket.call(store._bucket.uploads("")) == []
    assert [one.name for one in await store.items() if not one.address] == []


@pytest.mark.parametrize("kind", PASSING)
async def test_what_passes_is_waited_for(store: Store, server: Unruly, kind: Kind) -> None:
    """Each kind of request meets it once: the bytes that are there in the end are those that were written."""
    for method, path in [
        ("PUT", "staging/"),
        ("POST", "uploads"),
        ("PUT", "partNumber=1"),
        ("PUT", "partNumber=3"),
        ("POST", "uploadId="),
        ("PUT", "blobs/"),
        ("GET", "blobs/"),
        ("GET", "objects/"),
        ("DELETE", "staging/"),
    ]:
        server.tricks.append(Trick(kind, method, path))
    sha256 = await put(store, f"{kind}-passes")
    assert await read(store, sha256) == BODY
    assert server.tricks == []
    assert await store.remove(sha256)
    await nothing_left(store)


async def test_what_does_not_pass_is_a_shortage(store: Store, server: Unruly) -> None:
    """A server that stays busy is no verdict: neither on what is written nor on what is read."""
    sha256 = await put(store, "good")
    server.tricks.append(Trick("busy", count=1_000_000))
    store._bucket.place.__dict__["patience_seconds"] = 0.2
    try:
        with pytest.raises(Shortage):
            await store.stage("two", 1)
        with pytest.raises(Shortage) as caught:
            await read(store, sha256)
        assert fault_of(caught.value) is None
        assert await store.obstacles(1) == ["the store cannot be written"]
    finally:
        store._bucket.place.__dict__["patience_seconds"] = 5.0
        server.tricks.clear()
    assert await read(store, sha256) == BODY
    assert await store.remove(sha256)


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("skewed", StoreFailed, "clock is wrong"),
        ("no-bucket", StoreFailed, "no such bucket"),
        ("full", StoreFull, "no room"),
    ],
)
async def test_a_refusal_is_told_at_once(
    store: Store, server: Unruly, kind: Kind, error: type[Exception], words: str
) -> None:
    """It is typed, says what to do, and is not tried again."""
    server.tricks.append(Trick(kind, "PUT", "staging/", count=2))
    with pytest.raises(error, match=words):
        await store.stage(kind, 1)
    assert len(server.tricks) == 1
    server.tricks.clear()
    await nothing_left(store)


async def test_a_part_that_is_refused_leaves_nothing(store: Store, server: Unruly) -> None:
    """The refusal is told by a later write or by the commit; then all of it goes."""
    server.tricks.append(Trick("full", "PUT", "partNumber=1"))
    staged = await store.stage("full-part", 1)
    with suppress(StoreFull):
        await asyncio.to_thread(staged.write, BODY)
    with pytest.raises(StoreFull):
        await store.commit(staged, DIGEST)
    await store.discard(staged)
    await nothing_left(store)
    assert store.space().used == 0


async def test_bytes_that_are_gone_are_told_from_bytes_that_cannot_be_read(store: Store) -> None:
    """An object that somebody removed is missing; that is a finding, and a shortage is none."""
    sha256 = await put(store, "gone")
    pointer = await store._bucket.call(store._blobs.find(sha256))
    assert pointer is not None
    await store._bucket.call(store._bucket.delete(pointer[0].key))
    assert await store.size(sha256) is None
    assert await store.link(sha256, 60, "x") is None
    with pytest.raises(StoreFailed) as caught:
        await read(store, sha256)
    assert fault_of(caught.value) == "missing"
    assert await put(store, "again") == sha256
    assert await read(store, sha256) == BODY
    assert await store.remove(sha256)


async def test_what_does_not_go_now_goes_later(store: Store, server: Unruly) -> None:
    """A removal that fails is noted and tried again; the bytes count as gone for everybody meanwhile."""
    sha256 = await put(store, "stays")
    store._bucket.place.__dict__["patience_seconds"] = 0.1
    server.tricks.append(Trick("busy", "DELETE", "objects/", count=50))
    try:
        assert await store.remove(sha256)
    finally:
        store._bucket.place.__dict__["patience_seconds"] = 5.0
        server.tricks.clear()
    assert await store.size(sha256) is None
    await store.retry_deletes()
    await nothing_left(store)


@pytest.mark.parametrize("path", ["staging/", "blobs/"])
async def test_a_commit_outlasts_a_server_that_stays_busy(store: Store, server: Unruly, path: str) -> None:
    """Before the digest leads to the bytes, it is tried again; afterwards what is left over goes later."""
    method = {"staging/": "DELETE", "blobs/": "PUT"}[path]
    staged = await store.stage("outlasts", 1)
    await asyncio.to_thread(staged.write, BODY)
    store._bucket.place.__dict__["patience_seconds"] = 0.1
    server.tricks.append(Trick("busy", method, path, count=50))
    try:
        async with store.holding(DIGEST):
            if path == "blobs/":
                with pytest.raises(Shortage):
                    await store.commit(staged, DIGEST)
                server.tricks.clear()
            await store.commit(staged, DIGEST)
    finally:
        store._bucket.place.__dict__["patience_seconds"] = 5.0
        server.tricks.clear()
    assert await read(store) == BODY
    await store.retry_deletes()
    assert await read(store) == BODY
    assert store.space().used == len(BODY)
    assert await store.remove(DIGEST)
    await nothing_left(store)


@pytest.mark.parametrize("keys", [UNKNOWN, {**KEYS, "secret_access_key": "mistaken"}])
def test_wrong_credentials_are_told_when_the_store_is_opened(
    weed: BucketServer, tmp_path: Path, keys: dict[str, str]
) -> None:
    """The words name neither key nor address, and nothing is left open."""
    rules = {"credentials_file": str(credentials(tmp_path, keys))}
    with pytest.raises(StoreFailed, match="key") as caught, bucket_store(weed, tmp_path, **rules):
        pass
    told = str(caught.value) + caught.value.reason
    assert not any(word in told for word in (*keys.values(), weed.endpoint))
    assert not [thread for thread in threading.enumerate() if thread.name == "bucket" and not thread.daemon]


async def test_parts_in_flight_are_bounded(weed: BucketServer, tmp_path: Path) -> None:
    """However much is written, only so many parts are held at once: a further one waits."""
    with bucket_store(weed, tmp_path, parts_at_once=1) as store:
        most, running = 0, 0
        sending = store._bucket.put_part

        async def counted(*args: object) -> str:
            nonlocal most, running
            running += 1
            most = max(most, running)
            try:
                return await sending(*args)  # type: ignore[arg-type] # handed on as they came
            finally:
                running -= 1

        store._bucket.put_part = counted  # type: ignore[method-assign] # counts what passes
        staged = await store.stage("many", 1)
        for _ in range(4):
            await asyncio.to_thread(staged.write, bytes(PART_BYTES))
        await store.discard(staged)
        assert most == 1
