"""Each call that an import makes of the file system fails in its turn: it ends, and nothing else changes."""

import errno
import hashlib
import shutil
from pathlib import Path

import pytest

from fetcher.store.filesystem.disk import Disk
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.store.faults import FaultyDisk
from tests.test_crash import agree

BODY = raw(73 * 4096) + bytes(5 * 4096)
SHA256 = hashlib.sha256(BODY).hexdigest()
# What one import asks of the file system, and how often at the least.
FEWEST_CALLS = {"open": 1, "write": 4, "truncate": 1, "sync": 2, "rename": 1, "sync_folder": 1, "room": 1}
SMALL = {"store": {"write_bytes": 65_536}, "resume": {"checkpoint_bytes": 131_072, "mark_bytes": 65_536}}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("operation", FEWEST_CALLS)
async def test_each_call_in_its_turn(operation: str, for_good: bool, number: int, tmp_path: Path) -> None:
    """Whichever it is: the right code, no file, no row, no room held; past the last call, it succeeds."""
    paced = behaviours.drip(BODY, piece=65_536, pause_seconds=0.004)
    async with Origin({"/x": paced}) as origin, Running(tmp_path, origin, **SMALL) as service:
        services = service.service.app.state.services
        turn = 0
        while True:
            turn += 1
            disk = services.store._disk = FaultyDisk(operation, number, turn, for_good=for_good)
            ended = await service.run(url=origin.url("/x"))
            if disk.calls < turn:
                break
            assert ended["verdict"]["code"] == ("store-full" if number == errno.ENOSPC else "store-failed")
            assert service.traces() == []
            assert services.store._promised == 0
            usage = await services.index.usage.find("default")
            assert (usage.images, usage.bytes, usage.held_bytes) == (0, 0, 0)
        assert turn > FEWEST_CALLS[operation]
        assert ended["state"] == "succeeded"
        assert service.traces() == [f"blobs/{SHA256[:2]}/{SHA256}"]
    agree(service.data)


@pytest.mark.parametrize("operation", ["write", "sync", "rename", "sync_folder"])
async def test_equal_bytes_survive_an_import_that_fails(operation: str, tmp_path: Path) -> None:
    """A fault while a second import brings the same bytes takes nothing from the first one's image."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        image = (await service.run(url=origin.url("/x")))["image_id"]
        services = service.service.app.state.services
        services.store._disk = FaultyDisk(operation, errno.EIO)
        assert (await service.run(url=origin.url("/x")))["state"] == "failed"
        services.store._disk = Disk()
        async with service.client.get(f"/v2/images/{image}/file") as answer:
            assert await answer.read() == BODY
    agree(service.data)


@pytest.mark.parametrize("operation", ["open", "write", "sync", "rename", "sync_folder"])
async def test_sent_bytes_meet_the_same_faults(operation: str, tmp_path: Path) -> None:
    """An upload that the disk refuses is answered so, and the record waits for better days."""
    async with Running(tmp_path) as service:
        services = service.service.app.state.services
        record = {"disk_format": "raw", "container_format": "bare"}
        image = (await service.call("POST", "/v2/images", json=record))[1]["id"]
        sent = {"data": BODY, "headers": {"Content-Type": "application/octet-stream"}}
        services.store._disk = FaultyDisk(operation, errno.EIO)
        for path in ("file", "stage"):
            services.store._disk.calls = 0
            status, document, _headers = await service.call("PUT", f"/v2/images/{image}/{path}", **sent)
            assert (status, document["error"]["type"]) == (503, "store-failed")
            assert service.traces() == []
        services.store._disk = Disk()
        assert (await service.call("PUT", f"/v2/images/{image}/file", **sent))[0] == 204
    agree(service.data)


async def test_a_disk_that_refuses_to_park_costs_bytes_only(tmp_path: Path) -> None:
    """A service that stops while its disk fails keeps no half file; the next start begins anew."""
    tag = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    turns = behaviours.in_turn(
        behaviours.stall(BODY, 200_000, fields=tag), behaviours.serve(BODY, etag='"v1"')
    )
    async with Origin({"/x": turns}) as origin:
        async with Running(tmp_path, origin) as service:
            disk = FaultyDisk("sync", errno.EIO, turn=1_000_000, for_good=True)
            service.service.app.state.services.store._disk = disk
            created = await service.submit(url=origin.url("/x"))
            while not (await service.get(f"/imports/{created['id']}"))["progress"]["received_bytes"]:
                pass
            disk.turn = 0
        assert disk.calls
        assert service.traces() == []
        async with Running(tmp_path, origin) as service:
            assert (await service.ended(created["id"]))["state"] == "succeeded"
        agree(service.data)


async def test_a_disk_that_lets_nothing_go_loses_nothing(tmp_path: Path) -> None:
    """Names that cannot be removed change no verdict; the next round, or the next start, removes them."""
    async with Origin(
        {"/x": behaviours.serve(BODY), "/html": behaviours.serve(b"<!doctype html>")}
    ) as origin:
        async with Running(tmp_path, origin) as service:
            services = service.service.app.state.services
            image = (await service.run(url=origin.url("/x")))["image_id"]
            services.store._disk = FaultyDisk("unlink", errno.EIO, for_good=True)
            assert (await service.run(url=origin.url("/html")))["state"] == "refused"
            assert (await service.call("DELETE", f"/v2/images/{image}"))[0] == 204
            assert len(service.traces()) == 2
            services.store._disk = Disk()
            shutil.copytree(service.data, tmp_path / "copy" / "data")
            await services.maintenance.do_chores()
            await services.maintenance._settle_loose(None)
            assert service.traces() == []
        async with Running(tmp_path / "copy", origin) as service:
            assert service.traces() == []
        agree(tmp_path / "copy" / "data")
