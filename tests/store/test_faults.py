"""Every operation of the file system fails once: the import ends cleanly, and nothing is left over."""

import asyncio
import errno
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from fetcher.errors import StoreFailed, StoreFull
from fetcher.store import Store
from fetcher.store.reservation import Reservation
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.store.faults import FaultyDisk
from tests.test_crash import agree

SIZE = 366 * 4096
FAULTS = [
    ("open", errno.EIO),
    ("open", errno.ENOSPC),
    ("write", errno.EIO),
    ("write", errno.ENOSPC),
    ("write", errno.EDQUOT),
    ("truncate", errno.EIO),
    ("sync", errno.EIO),
    ("sync", errno.ENOSPC),
    ("rename", errno.EIO),
    ("rename", errno.ENOSPC),
    ("sync_folder", errno.EIO),
    ("room", errno.EIO),
]


@pytest.mark.parametrize(("operation", "number"), FAULTS, ids=str)
async def test_a_failing_operation_ends_the_import(operation: str, number: int, tmp_path: Path) -> None:
    """The import fails by the right code, no file and no row is left, and the next import succeeds."""
    body = raw(SIZE) + bytes(8192)
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        store = service.service.app.state.services.store
        store._disk = FaultyDisk(operation, number)
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "failed", ended
        full = number in {errno.ENOSPC, errno.EDQUOT}
        assert ended["verdict"]["code"] == ("store-full" if full else "store-failed")
        assert service.traces() == []
        assert store._promised == 0
        again = await service.run(url=origin.url("/x"))
        assert again["state"] == "succeeded"
        sha256 = hashlib.sha256(body).hexdigest()
        assert service.traces() == [f"blobs/{sha256[:2]}/{sha256}"]


async def test_short_writes_are_carried_on(tmp_path: Path) -> None:
    """A file system that takes a third of each write gets the rest in further ones."""
    body = raw(SIZE)
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        store = service.service.app.state.services.store
        store._disk = FaultyDisk("write", 0)
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        assert store.blob_path(hashlib.sha256(body).hexdigest()).read_bytes() == body


async def test_a_file_that_cannot_be_removed_is_removed_later(tmp_path: Path) -> None:
    """A name that the disk does not let go of changes no verdict, and goes with the next round."""
    store = Store(tmp_path / "data", reserve=lambda _total: 0, disk=FaultyDisk("unlink", errno.EIO))
    store.open()
    staged = await store.stage("one", 1)
    await store.discard(staged)
    assert store.pending_deletes == {staged.path}
    await store.retry_deletes()
    assert store.pending_deletes == set()
    assert await store.staged_paths() == []
    store.close()


async def test_a_cancelled_start_leaves_no_file(tmp_path: Path) -> None:
    """The thread that makes the staging file cannot be called back: what it made is removed all the same."""
    store = Store(tmp_path / "data", reserve=lambda _total: 0)
    store.open()
    for turn in range(20):
        task = asyncio.create_task(store.stage("one", turn))
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            await store.discard(task.result())
    assert await store.staged_paths() == []
    store.close()


async def test_a_folder_half_made_before_the_power_went_is_made_durable(tmp_path: Path) -> None:
    """A start syncs the folders of the blobs also those it finds: none may be lost with its blobs."""
    (tmp_path / "data" / "blobs" / "ab").mkdir(parents=True)
    disk = FaultyDisk("sync_folder", errno.EIO)
    store = Store(tmp_path / "data", reserve=lambda _total: 0, disk=disk)
    with pytest.raises(StoreFailed):
        store.open()
    store = Store(tmp_path / "data", reserve=lambda _total: 0)
    store.open()
    assert len(list(store.blobs.iterdir())) == 256
    store.close()


async def test_bytes_of_another_size_are_replaced(tmp_path: Path) -> None:
    """A blob that was cut short by the disk is healed by the next import of the same bytes."""
    store = Store(tmp_path / "data", reserve=lambda _total: 0)
    store.open()
    sha256 = hashlib.sha256(b"body").hexdigest()
    store.blob_path(sha256).write_bytes(b"bo")
    staged = await store.stage("one", 1)
    staged.write(b"body")
    await store.commit(staged, sha256)
    assert store.blob_path(sha256).read_bytes() == b"body"
    store.close()


def test_room_is_looked_at_again_while_streaming(tmp_path: Path) -> None:
    """When somebody else fills the file system, a pull with a promise stops before the machine's reserve."""
    store = Store(tmp_path / "data", reserve=lambda _total: 0)
    store.open()
    reservation = Reservation(store)
    reservation.expect(3 * Reservation.STEP_BYTES)
    reservation.use(Reservation.STEP_BYTES)
    store._reserve = lambda total: total
    with pytest.raises(StoreFull):
        reservation.use(Reservation.STEP_BYTES)
    reservation.release()
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("size", [3 << 20, 12 << 20])
async def test_a_file_system_that_is_really_full(size: int, tmp_path: Path) -> None:
    """Real ENOSPC: imports that do not fit fail as store-full, the others stay, and room comes back."""
    (tmp_path / "data").mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(tmp_path / "data")]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        bodies = [raw(4 << 20, seed=seed) for seed in range(5)]
        routes = {f"/{n}": behaviours.serve(body) for n, body in enumerate(bodies)}
        small = {"/small": behaviours.serve(raw(1000))}
        async with Origin(routes | small) as origin, Running(tmp_path, origin) as service:
            made = [await service.submit(url=origin.url(path)) for path in routes]
            ended = [await service.ended(record["id"]) for record in made]
            codes = sorted(record["verdict"]["code"] for record in ended)
            kept = codes.count("ok")
            assert set(codes) <= {"ok", "store-full", "store-failed"}
            assert codes.count("ok") < len(bodies)
            assert len(service.traces()) == kept
            for record in ended:
                if record["state"] == "succeeded":
                    status, _, _ = await service.call("DELETE", f"/v2/images/{record['image_id']}")
                    assert status == 204
            assert service.traces() == []
            again = await service.run(url=origin.url("/small"))
            assert again["state"] == "succeeded"
        agree(service.data)
    finally:
        subprocess.run(["umount", str(tmp_path / "data")], check=True)
