"""What reaches for the disk and the index, on whole imports: rows S01, S03 and Z03 of the attacks."""

import asyncio
import errno
import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from fetcher.errors import StoreFull
from fetcher.index.sqlite import connection
from fetcher.store import Store
from tests.api.image_v2.cloud import Cloud
from tests.images import raw
from tests.lab import Origin, behaviours
from tests.lab.origin import Exchange
from tests.service import Running
from tests.store.faults import FaultyDisk
from tests.test_crash import agree

BODY = raw(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("kind", ["link", "dangling link", "file", "folder", "fifo"])
async def test_s01_what_was_planted_in_staging_is_not_written_to(kind: str, tmp_path: Path) -> None:
    """A local user who puts something under each name that may come: never followed, never overwritten."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        store = service.service.app.state.services.store
        opening = store._disk.open

        def plant(path: Path, flags: int) -> int:
            if kind.endswith("link"):
                path.symlink_to(victim if kind == "link" else tmp_path / "made")
            elif kind == "file":
                path.write_text("untouched")
            else:
                (os.mkfifo if kind == "fifo" else os.mkdir)(path)
            return opening(path, flags)

        store._disk = FaultyDisk("none", 0)
        store._disk.open = plant
        ended = await service.run(url=origin.url("/x"))
        assert ended["verdict"]["code"] == "store-failed"
        assert victim.read_text() == "untouched"
        assert not (tmp_path / "made").exists()
        assert str(tmp_path) not in str(ended["verdict"])


@pytest.mark.parametrize("kind", ["link", "file"])
async def test_s01_what_was_planted_under_the_final_name_is_replaced_not_followed(
    kind: str, tmp_path: Path
) -> None:
    """The digest names the bytes: other bytes, or a link, under that name do not become the image."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        blob = service.data / "blobs" / SHA256[:2] / SHA256
        if kind == "link":
            blob.symlink_to(victim)
        else:
            blob.write_bytes(b"evil")
        ended = await service.run(url=origin.url("/x"))
        assert victim.read_bytes() == b"untouched"
        if ended["state"] == "succeeded":
            assert not blob.is_symlink()
            assert blob.read_bytes() == BODY
            async with service.client.get(f"/v2/images/{ended['image_id']}/file") as answer:
                assert await answer.read() == BODY
        else:
            assert ended["verdict"]["code"] == "store-failed"


TROUBLE = {
    "disk full at the sync": ("sync", errno.ENOSPC, "store-full"),
    "disk full at the rename": ("rename", errno.ENOSPC, "store-full"),
    "input/output error at a write": ("write", errno.EIO, "store-failed"),
    "input/output error at the folder": ("sync_folder", errno.EIO, "store-failed"),
}


@pytest.mark.parametrize("name", TROUBLE)
async def test_s03_trouble_with_the_disk_is_undone(name: str, tmp_path: Path) -> None:
    """The import fails with a code that tells nothing of paths, and index and store agree after a restart."""
    operation, number, code = TROUBLE[name]
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        async with Running(tmp_path, origin) as service:
            service.service.app.state.services.store._disk = FaultyDisk(operation, number)
            ended = await service.run(url=origin.url("/x"))
            assert ended["verdict"]["code"] == code
            assert str(tmp_path) not in str(ended["verdict"])
            assert service.traces() == []
        agree(tmp_path / "data")
        async with Running(tmp_path, origin) as service:
            assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
        agree(tmp_path / "data")


async def test_s03_locked_index_holds_nothing_halfway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody locks the index in mid-pull: the import ends one way or the other, and both sides agree."""
    monkeypatch.setattr(connection, "BUSY_MILLISECONDS", 20)
    opened = asyncio.Event()

    async def then_go_on(exchange: Exchange) -> None:
        await opened.wait()
        await behaviours.serve(BODY)(exchange)

    async with Origin({"/x": then_go_on}) as origin:
        async with Running(tmp_path, origin) as service:
            created = await service.submit(url=origin.url("/x"))
            await origin.wait_requests(1)
            holder = sqlite3.connect(service.data / "index.sqlite", isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            opened.set()
            await origin.wait_idle()
            holder.execute("ROLLBACK")
            holder.close()
            ended = await service.ended(created["id"])
            assert ended["state"] in {"succeeded", "failed"}
        agree(tmp_path / "data")


def test_z03_several_of_one_owner_leave_half_of_the_room(tmp_path: Path) -> None:
    """One may announce all that is free; the second of the same owner not what others would need."""
    store = Store(tmp_path / "data", reserve=lambda _total: 0)
    store.open()
    free = 1000
    store.free_bytes = lambda: free - store._promised  # type: ignore[method-assign] # the disk is others' too
    with store.reserve("a") as all_of_it:
        all_of_it.expect(free)
    with store.reserve("a") as one, store.reserve("a") as two, store.reserve("b") as other:
        one.expect(400)
        with pytest.raises(StoreFull):
            two.expect(101)
        two.expect(100)
        one.use(400)
        two.expect(250)
        other.expect(200)
        with pytest.raises(StoreFull):
            other.expect(free)
    assert store._promised == 0
    assert not store._promised_to
    store.close()


async def test_z03_announcements_of_one_project_do_not_fill_the_store(tmp_path: Path) -> None:
    """Stalled imports that announced the whole disk hold half of it; an import of another project gets in."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:

        async def announce(exchange: Exchange) -> None:
            services = service.service.app.state.services
            most = services.current.settings.size.max_bytes
            size = min(most, max(services.store.free_bytes() // 3, 1))
            await exchange.send_head(200, {"Content-Length": size})
            await exchange.wait_gone()

        origin.routes |= {f"/{number}": announce for number in range(12)}
        rules = {"max_running_per_origin": 20}
        async with Cloud(tmp_path, origin, imports=rules, size={"max_bytes": 2**50}) as service:
            alice, bob = ({"X-Auth-Token": f"token of {name}"} for name in ("alice", "bob"))
            free = service.service.app.state.services.store.free_bytes()
            for number in range(12):
                body = {"url": origin.url(f"/{number}"), "disk_format": "raw"}
                assert (await service.call("POST", "/imports", json=body, headers=alice))[0] == 202
            await origin.wait_requests(12)
            made = await service.call(
                "POST", "/imports", json={"url": origin.url("/x"), "disk_format": "raw"}, headers=bob
            )
            async for name, document in service.events(made[1]["id"], headers=bob):
                if name == "end":
                    assert document["state"] == "succeeded"
            assert service.service.app.state.services.store.free_bytes() > free * 0.45
