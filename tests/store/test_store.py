"""The store: durable before visible, equal bytes once, nothing left of what failed."""

import asyncio
import errno
import hashlib
import io
import os
import resource
import threading
from pathlib import Path

import pytest

from fetcher.errors import StoreFailed, StoreFull
from fetcher.store import Store
from fetcher.store.reservation import Reservation


@pytest.fixture
def store(tmp_path: Path):
    made = Store(tmp_path / "data", reserve=lambda _total: 0)
    made.open()
    yield made
    made.close()


async def put(store: Store, name: str, body: bytes) -> str:
    staged = await store.stage(name, 1)
    staged.write(body)
    sha256 = hashlib.sha256(body).hexdigest()
    async with store.holding(sha256):
        await store.commit(staged, sha256)
    return sha256


async def test_many_readers_get_smaller_pieces(tmp_path: Path) -> None:
    """What readers have not taken yet has one bound in memory, however many and slow they are."""
    store = Store(tmp_path / "data", reserve=lambda _total: 0, read_buffer_bytes=400_000)
    store.open()
    sha256 = await put(store, "x", bytes(3_000_000))
    alone = store.read(sha256)
    assert len(await anext(alone)) == 400_000
    others = [store.read(sha256) for _ in range(3)]
    assert [len(await anext(other)) for other in others] == [200_000, 133_333, 100_000]
    assert len(await anext(alone)) == 100_000
    for other in others:
        await other.aclose()
    assert len(await anext(alone)) == 400_000
    await alone.aclose()
    many = [store.read(sha256) for _ in range(20)]
    assert min([len(await anext(one)) for one in many]) == 65_536  # Less would be calls without end.
    for one in many:
        await one.aclose()
    store.close()


async def test_committed_bytes_are_read_back(store: Store) -> None:
    """What was written is what is served, whole or in part."""
    sha256 = await put(store, "one", b"0123456789")
    assert b"".join([chunk async for chunk in store.read(sha256)]) == b"0123456789"
    assert b"".join([chunk async for chunk in store.read(sha256, 2, 3)]) == b"234"
    assert await store.staged_paths() == []


async def test_equal_bytes_are_kept_once(store: Store) -> None:
    """Two imports of the same bytes share one blob: the later file, which was digested last."""
    first = await put(store, "one", b"same")
    store.blob_path(first).write_bytes(b"emas")
    assert await put(store, "two", b"same") == first
    assert store.blob_path(first).read_bytes() == b"same"
    assert [path.name for path in await store.blob_files()] == [first]
    assert await store.staged_paths() == []


async def test_open_readers_of_removed_bytes_finish(store: Store) -> None:
    """Deleting an image does not break a download of it."""
    sha256 = await put(store, "one", bytes(3_000_000))
    reading = store.read(sha256)
    first = await anext(reading)
    async with store.holding(sha256):
        await store.remove(sha256)
    assert len(first) + sum([len(chunk) async for chunk in reading]) == 3_000_000
    with pytest.raises(StoreFailed):
        await anext(store.read(sha256))


async def test_a_planted_link_is_not_followed(store: Store, tmp_path: Path) -> None:
    """A local user who guesses a staging name gains nothing by it."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (store.staging / "one.1").symlink_to(victim)
    with pytest.raises(StoreFailed):
        await store.stage("one", 1)
    assert victim.read_text() == "untouched"


def test_two_processes_cannot_share_a_store(store: Store) -> None:
    """The second server says so instead of corrupting the first one's store."""
    second = Store(store.folder, reserve=lambda _total: 0)
    with pytest.raises(StoreFailed, match="in use"):
        second.open()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A mistake in the configuration ends in a sentence."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed):
        Store(tmp_path / "file" / "data", reserve=lambda _total: 0).open()


async def test_a_full_disk_is_told_apart(store: Store) -> None:
    """A file size limit is a real failing write; the staged file goes away with the import."""
    staged = await store.stage("one", 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreFailed):
            staged.write(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    await store.discard(staged)
    assert await store.staged_paths() == []


async def test_no_space_left_is_store_full(store: Store) -> None:
    """/dev/full refuses like a full file system."""
    from fetcher.store.filesystem.staged import Staged

    staged = Staged(store.staging / "full", os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(StoreFull):
        staged.write(b"x")
    staged.discard()


async def test_committed_bytes_are_not_removed_by_their_old_name(store: Store) -> None:
    """After a commit nothing is left to discard: whoever has the old name by now keeps it."""
    staged = await store.stage("one", 1)
    staged.write(b"body")
    sha256 = hashlib.sha256(b"body").hexdigest()
    await store.commit(staged, sha256)
    staged.path.write_bytes(b"another's")
    await store.discard(staged)
    assert staged.path.read_bytes() == b"another's"
    assert store.blob_path(sha256).read_bytes() == b"body"


async def test_a_committed_blob_keeps_no_mark_of_an_earlier_process(store: Store) -> None:
    """A staged file that is taken up may carry a mark, even if nothing of it is kept."""
    staged = await store.stage("one", 1)
    staged.write(b"body")
    staged.mark(4, "0" * 64)
    os.close(staged._descriptor)  # As after a kill: the mark stays.
    taken = await store.reopen(staged.path.name, 0)
    assert taken is not None
    taken.write(b"other")
    sha256 = hashlib.sha256(b"other").hexdigest()
    await store.commit(taken, sha256)
    assert os.listxattr(store.blob_path(sha256)) == []
    staged._descriptor = -1


async def test_a_failing_sync_leaves_no_blob(store: Store) -> None:
    """Bytes that may not be durable never become visible."""
    staged = await store.stage("one", 1)
    staged.write(b"body")
    os.close(staged._descriptor)  # fsync now fails with EBADF, as a dying disk fails with EIO.
    sha256 = hashlib.sha256(b"body").hexdigest()
    with pytest.raises(StoreFailed) as caught:
        await store.commit(staged, sha256)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EBADF
    staged._descriptor = -1
    await store.discard(staged)
    assert not store.blob_path(sha256).exists()
    assert await store.staged_paths() == []


def test_room_is_promised_once(tmp_path: Path) -> None:
    """Two imports that race for the last room: one of them is told early."""
    store = Store(tmp_path, reserve=lambda _total: 0)
    store.open()
    free = store.free_bytes()
    first, second = (Reservation(store) for _ in range(2))
    first.expect(free * 2 // 3)
    with pytest.raises(StoreFull):
        second.expect(free * 2 // 3)
    first.release()
    second.expect(free // 3)
    second.release()
    store.close()


def test_undeclared_bytes_take_room_in_steps(store: Store) -> None:
    """A source without a length is held to the same room while it streams."""
    with store.reserve() as reservation:
        reservation.use(10)
        assert store._promised == Reservation.STEP_BYTES - 10
        store._reserve = lambda total: total
        with pytest.raises(StoreFull):
            reservation.use(Reservation.STEP_BYTES)
    assert store._promised == 0


def test_bytes_that_wait_in_memory_keep_their_promise(store: Store) -> None:
    """The file system does not know of them yet, so nobody else is given their room."""
    reservation = Reservation(store)
    reservation.expect(100)
    reservation.use(60, unwritten=60)
    assert store._promised == 100
    reservation.use(10, unwritten=30)
    assert store._promised == 60
    reservation.use(0, unwritten=0)
    assert store._promised == 30
    reservation.release()
    assert store._promised == 0


def test_one_import_alone_may_take_all_room_also_while_bytes_wait(store: Store) -> None:
    """What it has not written yet does not make it one of several, which share half of the room."""
    store.free_bytes = lambda: 100 - store._promised
    with store.reserve("p") as reservation:
        reservation.expect(60)
        reservation.use(60, unwritten=60)
        reservation.expect(40)
        with store.reserve("p") as another, pytest.raises(StoreFull):
            another.expect(1)
    assert store._promised == 0


async def test_a_reader_that_is_cancelled_while_it_opens_leaves_nothing_open(store: Store) -> None:
    """The thread opens the file all the same; nobody else would close it."""
    sha256 = "ab" * 32
    path = store.blob_path(sha256)
    os.mkfifo(path)  # Opening it waits for somebody who writes.

    async def read() -> list[bytes]:
        return [chunk async for chunk in store.read(sha256)]

    reading = asyncio.create_task(read())
    writer = -1
    while writer < 0:
        await asyncio.sleep(0.01)
        reading.cancel()
        try:
            writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            continue  # The thread is not that far yet.
    await asyncio.wait({reading})
    assert reading.cancelled()
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")  # Nobody has the other end open.
    os.close(writer)


async def test_a_reader_that_is_cancelled_while_it_reads_closes_nothing_under_its_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor that is closed while a thread reads may be another file's by then."""
    sha256 = "cd" * 32
    store.blob_path(sha256).write_bytes(b"bytes")
    reads, may_go_on = threading.Event(), threading.Event()
    is_open: list[bool] = []

    class Slow(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.set()
            may_go_on.wait(10)
            is_open.append(not self.closed)
            return super().read(size)

    monkeypatch.setattr(store, "_open_to_read", Slow)

    async def read() -> list[bytes]:
        return [chunk async for chunk in store.read(sha256)]

    reading = asyncio.create_task(read())
    await asyncio.to_thread(reads.wait, 10)
    reading.cancel()
    await asyncio.sleep(0)
    assert not reading.done()
    may_go_on.set()
    await asyncio.wait({reading})
    assert reading.cancelled()
    assert is_open == [True]
