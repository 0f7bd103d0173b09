"""What a read that fails says of a blob: row M12 of the attacks."""

import asyncio
import errno
import hashlib
from pathlib import Path

import pytest

from fetcher.errors import StoreFailed
from fetcher.maintenance import Maintenance
from fetcher.maintenance.fsck import Fsck
from tests.images import raw
from tests.lab import Origin, behaviours
from tests.maintenance.test_service import LATER, parts, rot
from tests.service import Running
from tests.store.faults import FaultyDisk

BODIES = {f"/{number}": raw(50_000, seed=number) for number in range(5)}
NAMES = {path: hashlib.sha256(body).hexdigest() for path, body in BODIES.items()}
ROUTES = {path: behaviours.serve(body) for path, body in BODIES.items()}
PASSING = (
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENOTDIR),
)


def ids(number: int) -> str:
    return errno.errorcode[number]


async def at_once(_seconds: float) -> None:
    """Wait for nothing."""
    await asyncio.sleep(0)


def hasty(service: Running) -> Maintenance:
    """Return the service's maintenance without its waits."""
    importer = service.service.app.state.services.importer
    return Maintenance(importer.context, importer.forget_old, sleep=at_once)


async def faults(service: Running) -> list[str | None]:
    """Return what is wrong with each blob, by its row."""
    return [blob.fault for blob in await service.service.app.state.services.index.maintenance.page()]


@pytest.mark.parametrize("number", PASSING, ids=ids)
async def test_m12_a_passing_shortage_is_no_rot(number: int, tmp_path: Path) -> None:
    """A scrub that cannot read marks nothing, downloads go on, and what was not read is due again."""
    rules = {"scrub_days": 1e-9}
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, maintenance=rules) as service:
        images = [(await service.run(url=origin.url(path)))["image_id"] for path in ROUTES]
        store, maintenance = parts(service)[1], hasty(service)
        store._disk = FaultyDisk("open_to_read", number, for_good=True)
        with pytest.raises(StoreFailed):
            await maintenance.read_blobs()
        fsck = Fsck(maintenance._context.index, store, service.data, bytes_per_second=2**40)
        assert {finding.kind async for finding in fsck.findings()} == {"file-unread"}
        assert await faults(service) == [None] * 5
        store._disk = FaultyDisk("none", 0)
        for image in images:
            async with service.client.get(f"/v2/images/{image}/file") as answer:
                assert answer.status == 200
        assert (await maintenance.scrub(before=LATER))["whole"] == 5


@pytest.mark.parametrize("number", PASSING, ids=ids)
async def test_m12_a_shortage_that_passes_in_mid_round_costs_a_wait(number: int, tmp_path: Path) -> None:
    """Three failed reads, then good ones: the same round finds every blob whole."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        for path in ROUTES:
            await service.run(url=origin.url(path))
        opening, failures = parts(service)[1]._disk.open_to_read, iter(range(3))

        def open_at_last(path: Path) -> int:
            if next(failures, None) is not None:
                raise OSError(number, "for a while")
            return opening(path)

        disk = FaultyDisk("none", 0)
        disk.open_to_read = open_at_last
        parts(service)[1]._disk = disk
        found = await hasty(service).scrub(before=LATER)
        assert found == {"whole": 5, "missing": 0, "corrupt": 0, "unread": 0}


async def test_m12_bytes_that_the_disk_does_not_give_back_are_rotten(tmp_path: Path) -> None:
    """EIO is damage, for the scrub, for the check, and for a revalidation."""
    routes = {"/x": behaviours.serve(BODIES["/0"], etag='"v1"')}
    reuse = {"revalidate": "project"}
    async with Origin(routes) as origin, Running(tmp_path, origin, reuse=reuse) as service:
        await service.run(url=origin.url("/x"))
        store = parts(service)[1]
        store._disk = FaultyDisk("open_to_read", errno.EIO)
        assert (await hasty(service).scrub(before=LATER))["corrupt"] == 1
        store._disk = FaultyDisk("open_to_read", errno.EMFILE)
        await hasty(service).scrub(before=LATER)
        assert await faults(service) == [None]
        store._disk = FaultyDisk("open_to_read", errno.EMFILE, for_good=True)
        assert (await service.run(url=origin.url("/x")))["state"] == "succeeded"
        assert await faults(service) == [None]
        assert origin.sent_bytes == 2 * len(BODIES["/0"])


async def test_m12_a_mark_wakes_the_repairer(tmp_path: Path) -> None:
    """Damage that a scrub finds between two rounds is repaired at once, not within the hour."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, maintenance={"repair": True}) as service:
        await service.run(url=origin.url("/0"))
        maintenance, store = parts(service)
        rot(store.blob_path(NAMES["/0"]))
        assert (await maintenance.scrub(before=LATER))["corrupt"] == 1
        async with asyncio.timeout(60):
            while await faults(service) != [None]:
                await asyncio.sleep(0.01)
        assert store.blob_path(NAMES["/0"]).read_bytes() == BODIES["/0"]


async def test_m12_a_repair_that_the_disk_puts_off_is_no_loss(tmp_path: Path) -> None:
    """A repair that finds no descriptor is repeated soon; nothing is written beside the blob."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/0"))
        store, maintenance = parts(service)[1], hasty(service)
        rot(store.blob_path(NAMES["/0"]))
        await maintenance.scrub(before=LATER)
        service.write_config(maintenance={"repair": True})
        service.service.reload()
        store._disk = FaultyDisk("open", errno.EMFILE, for_good=True)
        with pytest.raises(StoreFailed):
            await maintenance.repair_blobs()
        assert (await maintenance._context.index.maintenance.find(NAMES["/0"])).note is None
        store._disk = FaultyDisk("none", 0)
        await maintenance.repair_blobs()
        assert await faults(service) == [None]
