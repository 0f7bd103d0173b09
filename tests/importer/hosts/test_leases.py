"""A running import is held by its process: renewed while it runs, and left alone by whoever else starts."""

import asyncio
from pathlib import Path

from sqlite_utils.db import Database

from fetcher.importer.context import ENGINE
from fetcher.index import Index
from fetcher.index.values import Worker
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

OTHER = Worker(name="other")


def expire(db: Database) -> None:
    db.execute("UPDATE imports SET lease_until = '2001-01-01T00:00:00.000Z'")


async def test_a_running_import_is_held_and_renewed(tmp_path: Path) -> None:
    """Another worker finds nothing to take up, not even after the first lease; the import ends as ever."""
    opened = asyncio.Event()
    routes = {"/x": behaviours.gated(behaviours.serve(raw(1000)), opened)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        created = await service.submit(url=origin.url("/x"))
        await origin.wait_requests(1)
        importer = service.service.app.state.services.importer
        async with Index(service.data / "index.sqlite", worker=OTHER) as other:
            assert (await other.recovery.left_behind()).waiting == []
            await other.connection.write(expire)
            assert [left.id for left in (await other.recovery.left_behind()).waiting] == [created["id"]]
            await importer.leases.renew()
            assert (await other.recovery.left_behind()).waiting == []
        opened.set()
        assert (await service.ended(created["id"]))["state"] == "succeeded"
        await importer.leases.renew()  # Nothing runs, and nothing is written.


async def test_a_renewal_comes_by_itself(tmp_path: Path) -> None:
    """Three times in a lease, by a task of the supervisor's."""
    opened, renewed = asyncio.Event(), asyncio.Event()
    routes = {"/x": behaviours.gated(behaviours.serve(raw(1000)), opened)}
    lease = {"lease_seconds": 3.0}
    async with Origin(routes) as origin, Running(tmp_path, origin, imports=lease) as service:
        services = service.service.app.state.services
        renew = services.importer.leases.renew

        async def noted() -> None:
            await renew()
            renewed.set()

        services.importer.leases.renew = noted
        created = await service.submit(url=origin.url("/x"))
        await asyncio.wait_for(renewed.wait(), 60)
        opened.set()
        assert (await service.ended(created["id"]))["state"] == "succeeded"


async def test_a_lost_import_is_left_to_its_new_owner(tmp_path: Path) -> None:
    """A run that was taken over changes nothing of it, whatever it received meanwhile."""
    opened = asyncio.Event()
    routes = {"/x": behaviours.gated(behaviours.serve(raw(1000)), opened)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        await service.submit(url=origin.url("/x"))
        await origin.wait_requests(1)
        importer = service.service.app.state.services.importer
        async with Index(service.data / "index.sqlite", worker=OTHER) as other:
            await other.connection.write(expire)
            [left] = (await other.recovery.left_behind()).waiting
            record = await other.imports.find(left.id, ENGINE)
            await other.recovery.take_up([], record.updated_at)
            assert await other.imports.claim(record.id, record.updated_at) is not None
            await importer.leases.renew()
            opened.set()
            await asyncio.wait(set(importer._pulls._tasks.values()))
            after = await other.imports.find(left.id, ENGINE)
            assert (after.id, after.claim, after.state) == (record.id, record.claim + 2, "running")
            assert await other.images.blobs() == []
