"""The contract of a store: what every one of them promises, held against each that there is."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.errors import StoreFailed, StoreFull
from fetcher.store.filesystem.disk import Disk
from fetcher.store.filesystem.store import Store as FileStore
from fetcher.store.memory import MemoryStore
from fetcher.store.protocol import Staged, Store
from tests.lab.bucket import BucketServer
from tests.lab.bucket_store import bucket_store

ROOM = 8_000_000
# Not a whole number of blocks, with a hole that a sparse file leaves out.
BODY = b"begin" + bytes(300_000) + bytes(range(256)) * 5_000 + bytes(70_000)


class SmallDisk(Disk):
    """A real disk that says that it is small: what is in its files is what is used of it."""

    def room(self, path: Path) -> tuple[int, int]:
        """Count the store's own bytes against `ROOM`."""
        files = [*(path / "staging").iterdir(), *(path / "blobs").glob("*/*")]
        return ROOM - sum(file.stat().st_size for file in files), ROOM

    def write(self, descriptor: int, piece: memoryview, offset: int) -> int:
        """Refuse what would not fit, as a full disk does."""
        if offset + len(piece) > ROOM:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, piece, offset)


@contextmanager
def in_files(reserve_bytes: int) -> Iterator[Store]:
    with TemporaryDirectory() as folder:
        store = FileStore(Path(folder) / "data", reserve=lambda _total: reserve_bytes, disk=SmallDisk())
        store.open()
        try:
            yield store
        finally:
            store.close()


@contextmanager
def in_memory(reserve_bytes: int) -> Iterator[Store]:
    yield MemoryStore(ROOM, reserve_bytes=reserve_bytes)


@pytest.fixture(scope="session")
def in_bucket(weed: BucketServer, tmp_path_factory: pytest.TempPathFactory) -> "Maker":
    """Makes stores in a bucket, each with a prefix of its own."""
    folder = tmp_path_factory.mktemp("bucket")

    @contextmanager
    def made(reserve_bytes: int) -> Iterator[Store]:
        with bucket_store(weed, folder, max_bytes=ROOM, reserve_bytes=reserve_bytes) as store:
            yield store

    return made


Maker = Callable[[int], AbstractContextManager[Store]]
# One store serves all examples: each leaves it empty.
EXAMPLES = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["in_files", "in_memory", "in_bucket"])
def made(request: pytest.FixtureRequest) -> Maker:
    """Makes stores of one kind."""
    makers: dict[str, Maker] = {"in_files": in_files, "in_memory": in_memory}
    maker: Maker = makers.get(request.param) or request.getfixturevalue(request.param)
    return maker


@pytest.fixture
def store(made: Maker) -> Iterator[Store]:
    with made(0) as store:
        yield store


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


async def write(staged: Staged, body: bytes) -> None:
    await asyncio.to_thread(staged.write, body)


async def put(store: Store, import_id: str, body: bytes) -> str:
    staged = await store.stage(import_id, 1)
    await write(staged, body)
    async with store.holding(digest(body)):
        await store.commit(staged, digest(body))
    return digest(body)


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@EXAMPLES
@given(
    pieces=st.lists(st.one_of(st.binary(max_size=9_000), st.integers(0, 20_000).map(bytes)), max_size=6),
    ranges=st.lists(st.tuples(st.integers(0, 60_000), st.none() | st.integers(0, 60_000)), max_size=6),
)
def test_every_range_is_byte_exact(store: Store, pieces: list[bytes], ranges) -> None:
    """However the bytes came in, each range of them is what was written, zeros and both ends included."""

    async def steps() -> None:
        staged = await store.stage("one", 1)
        for piece in pieces:
            await write(staged, piece)
        body = b"".join(pieces)
        assert staged.size == len(body)
        async with store.holding(digest(body)):
            await store.commit(staged, digest(body))
        assert await store.size(digest(body)) == len(body)
        assert await read(store.read(digest(body))) == body
        for offset, length in ranges:
            end = None if length is None else offset + length
            assert await read(store.read(digest(body), offset, length)) == body[offset:end]
        assert await store.remove(digest(body))

    asyncio.run(steps())


async def test_a_file_is_the_bytes_or_there_is_none(store: Store) -> None:
    """What the kernel sends from the file is what `read` gives, also after the bytes were removed."""
    sha256 = await put(store, "one", BODY)
    file = await store.file_of(sha256, 5)
    if not isinstance(store, FileStore):
        assert file is None
        return
    assert file is not None
    with file:
        assert await store.remove(sha256)
        assert os.pread(file.fileno(), len(BODY) + 1, 0) == BODY
    with pytest.raises(StoreFailed):
        await store.file_of(sha256)


@EXAMPLES
@given(parts=st.lists(st.tuples(st.integers(0, 40_000), st.binary(max_size=9_000)), max_size=6))
def test_bytes_at_their_own_place(store: Store, parts: list[tuple[int, bytes]]) -> None:
    """Bytes come in any order; what nobody wrote reads as zeros, before and after the commit."""

    async def steps() -> None:
        staged, body = await store.stage("one", 1), bytearray()
        for offset, data in [*parts, (50_000, b"")]:
            await asyncio.to_thread(staged.write_at, data, offset)
            body.extend(bytes(max(0, offset + len(data) - len(body))))
            body[offset : offset + len(data)] = data
            assert staged.size == len(body)
        assert await store.read_back(staged, 0, 60_000) == body
        async with store.holding(digest(body)):
            await store.commit(staged, digest(body))
        assert await read(store.read(digest(body))) == body
        assert await store.remove(digest(body))

    asyncio.run(steps())


@EXAMPLES
@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=4))
def test_appending_goes_on_after_each_resume(store: Store, cuts: list[int]) -> None:
    """Bytes that were parked any number of times are the bytes that came in one go."""

    async def steps() -> None:
        staged: Staged | None = await store.stage("one", 1)
        for begin, end in pairwise([0, *sorted(cuts), len(BODY)]):
            assert staged is not None
            await write(staged, BODY[begin:end])
            await store.park(staged)
            assert await store.staged_names() == [staged.name]
            staged = await store.reopen(staged.name, end)
        assert staged is not None
        assert await store.read_back(staged, 0, len(BODY)) == BODY
        await store.commit(staged, digest(BODY))
        assert await read(store.read(digest(BODY))) == BODY
        assert await store.staged_names() == []
        assert await store.remove(digest(BODY))

    asyncio.run(steps())


async def test_reopened_bytes_may_be_cut(store: Store) -> None:
    """Who goes on from an earlier checkpoint writes over what came after it."""
    staged = await store.stage("one", 1)
    await write(staged, b"good bytes, doubtful bytes")
    await store.park(staged)
    again = await store.reopen(staged.name, 11)
    assert again is not None
    assert again.size == 11
    await write(again, b"and more")
    assert await store.read_back(again, 0, 100) == b"good bytes,and more"
    await store.discard(again)


async def test_what_is_not_staged_is_not_reopened(store: Store) -> None:
    """Parked bytes that are gone are told by None, and removing them once more is nothing."""
    assert await store.reopen("gone.1", 10) is None
    assert await store.mark_of("gone.1") is None
    await store.remove_staged("gone.1")


async def test_a_claim_is_staged_once(store: Store) -> None:
    """Bytes of an equal claim are never taken over; another claim has its own."""
    first = await store.stage("one", 1)
    with pytest.raises(StoreFailed):
        await store.stage("one", 1)
    second = await store.stage("one", 2)
    assert await store.staged_names() == sorted([first.name, second.name])
    await store.discard(first)
    await store.discard(second)


async def test_staged_bytes_are_no_blob(store: Store) -> None:
    """Nothing is found by its digest before it is committed, not even when it is whole and durable."""
    staged = await store.stage("one", 1)
    await write(staged, BODY)
    await asyncio.to_thread(staged.sync)
    assert await store.size(digest(BODY)) is None
    with pytest.raises(StoreFailed):
        await read(store.read(digest(BODY)))
    await store.discard(staged)


async def test_equal_bytes_are_kept_once(store: Store) -> None:
    """Committing equal bytes again changes nothing but which writing of them is there."""
    sha256 = await put(store, "one", BODY)
    first, free = await store.generation(sha256), store.space().free
    assert await put(store, "two", BODY) == sha256
    assert await store.generation(sha256) != first
    assert store.space().free == free
    assert await read(store.read(sha256)) == BODY


async def test_concurrent_commits_of_equal_bytes_make_one_blob(store: Store) -> None:
    """Imports that end at the same moment with equal bytes share them, and nothing stays staged."""
    assert len(set(await asyncio.gather(*(put(store, f"n{n}", BODY) for n in range(4))))) == 1
    assert await read(store.read(digest(BODY))) == BODY
    assert await store.staged_names() == []
    assert store.space().free == ROOM - len(BODY)


async def test_holding_keeps_others_out_of_one_digest_only(store: Store) -> None:
    """Who holds a digest is alone with it; other digests are not kept waiting."""
    order: list[str] = []

    async def second() -> None:
        async with store.holding("a" * 64):
            order.append("second")

    async with store.holding("a" * 64):
        waiting = asyncio.create_task(second())
        async with store.holding("b" * 64):
            order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_commit_puts_good_bytes_in_place_of_bad_ones(store: Store) -> None:
    """A digest is the caller's word; whoever brings the right bytes heals what a wrong word put there."""
    staged = await store.stage("wrong", 1)
    await write(staged, b"not these")
    await store.commit(staged, digest(BODY))
    assert digest(await read(store.read(digest(BODY)))) != digest(BODY)
    await put(store, "right", BODY)
    assert await read(store.read(digest(BODY))) == BODY


async def test_an_open_reader_outlives_removal(store: Store) -> None:
    """Deleting bytes does not break a download of them; the next reader is told that they are gone."""
    sha256 = await put(store, "one", BODY)
    reading = store.read(sha256)
    first = await anext(reading)
    async with store.holding(sha256):
        assert await store.remove(sha256)
    assert first + await read(reading) == BODY
    assert await store.size(sha256) is None
    with pytest.raises(StoreFailed):
        await read(store.read(sha256))


async def test_any_digest_may_be_the_address(store: Store) -> None:
    """Bytes lie under the name that the caller gives, beside those of other digests: all verbs find them."""
    names = [hashlib.new(name, BODY).hexdigest() for name in ("sha256", "sha512")]
    for name in names:
        staged = await store.stage(name[:8], 1)
        await write(staged, BODY)
        await asyncio.to_thread(staged.mark, len(BODY), name)
        async with store.holding(name):
            await store.commit(staged, name)
    assert sorted(one.address for one in await store.items()) == sorted(names)
    for name in names:
        assert (await store.size(name), await read(store.read(name, 3, 9))) == (len(BODY), BODY[3:12])
    long = names[1]
    adopted = await store.adopt(long, len(BODY), set())
    assert adopted is not None
    assert await store.size(long) is None
    again = await store.reopen(adopted, len(BODY))
    assert again is not None
    await store.commit(again, long)
    async with store.holding(long):
        assert await store.remove(long)
    assert [one.address for one in await store.items()] == [names[0]]


async def test_a_mark_is_read_back(store: Store) -> None:
    """Whichever digest it tells: how long that is, is no matter of the store's."""
    for number, length in enumerate((64, 128)):
        staged = await store.stage(f"marked{number}", 1)
        await write(staged, BODY)
        await asyncio.to_thread(staged.sync)
        await asyncio.to_thread(staged.mark, len(BODY), "a" * length)
        found = await store.mark_of(staged.name)
        assert found in (None, (len(BODY), "a" * length))
        await store.discard(staged)


async def test_unknown_bytes(store: Store) -> None:
    """Bytes that are not there have no size, no writing and no moment; removing them is done already."""
    sha256 = digest(b"never seen")
    assert await store.size(sha256) is None
    assert await store.generation(sha256) is None
    assert await store.written_at(sha256) is None
    with pytest.raises(StoreFailed):
        await read(store.read(sha256))
    async with store.holding(sha256):
        assert await store.remove(sha256)


async def test_nothing_is_left_of_what_was_discarded(store: Store) -> None:
    """Discarded bytes give back their name and their room, and discarding twice is nothing."""
    staged = await store.stage("one", 1)
    await write(staged, BODY)
    await store.discard(staged)
    await store.discard(staged)
    assert await store.staged_names() == []
    assert store.space().free == ROOM
    assert await store.reopen(staged.name, 5) is None


async def test_a_body_cut_off_in_its_commit_is_adopted(store: Store) -> None:
    """A whole body is found under whichever name it has, but not among those of others; a second time too."""
    staged = await store.stage("one", 1)
    await write(staged, BODY)
    await store.park(staged)
    assert await store.adopt(digest(BODY), len(BODY), {staged.name}) is None
    name = await store.adopt(digest(BODY), len(BODY), set())
    assert name is not None
    assert await store.adopt(digest(BODY), len(BODY), set()) == name
    again = await store.reopen(name, len(BODY))
    assert again is not None
    await store.commit(again, digest(BODY))
    assert await store.adopt(digest(BODY), len(BODY), set()) == name
    assert await store.size(digest(BODY)) is None
    await store.remove_staged(name)


async def test_room_is_counted(store: Store) -> None:
    """What is promised is nobody else's; what was not used is given back at the end."""
    with store.reserve("project") as room:
        room.expect(ROOM - 1_000)
        assert store.free_bytes() == 1_000
        assert store.space().usable == 1_000
        assert store.space().free == ROOM
        with store.reserve("other") as second, pytest.raises(StoreFull):
            second.expect(1_001)
    assert store.free_bytes() == ROOM


async def test_one_owner_leaves_half_to_others(store: Store) -> None:
    """The first import of an owner may have it all; a further one only within half."""
    with store.reserve("project") as first, store.reserve("project") as second:
        first.expect(ROOM // 2)
        with pytest.raises(StoreFull):
            second.expect(1)
        with store.reserve("other") as third:
            third.expect(ROOM // 2)


async def test_the_reserve_is_kept_back(made: Maker) -> None:
    """The reserve counts as free and not as usable, and no import is promised any of it."""
    with made(1_000_000) as store:
        space = store.space()
        assert (space.total, space.free, space.usable, space.used) == (ROOM, ROOM, ROOM - 1_000_000, 0)
        with store.reserve() as room, pytest.raises(StoreFull):
            room.expect(ROOM - 999_999)


async def test_nothing_stands_in_the_way_of_an_empty_store(store: Store) -> None:
    """A store with room says that it can be written, and by which name an operator knows it."""
    assert await store.obstacles(1_000) == []
    assert store.place


async def test_a_full_store_refuses_bytes(store: Store) -> None:
    """No room is told at the write that finds it; what was written before is whole."""
    staged = await store.stage("one", 1)
    await write(staged, b"x" * ROOM)
    with pytest.raises(StoreFull):
        await write(staged, b"y")
    assert await store.read_back(staged, ROOM - 2, 10) == b"xx"
    await store.discard(staged)
    assert store.free_bytes() == ROOM
    await put(store, "two", BODY)
