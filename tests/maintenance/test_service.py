"""Maintenance: rot is found and repaired, loose files go, old records go, and nobody is disturbed."""

import asyncio
import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlite_utils

from fetcher.maintenance import Maintenance
from fetcher.model import Actor
from fetcher.store import Store
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.test_crash import agree

BODY = raw(300_000)
NAME = hashlib.sha256(BODY).hexdigest()
LATER = datetime.now(UTC) + timedelta(days=1)


def admin() -> Actor:
    return Actor(project_id="default", user_id="test", roles=frozenset({"admin"}))


def parts(service: Running) -> tuple[Maintenance, Store]:
    services = service.service.app.state.services
    return services.maintenance, services.store


def rot(path: Path) -> None:
    """Turn one bit over, as a disk does."""
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))


async def test_a_rotten_blob_is_found_and_pulled_again(tmp_path: Path) -> None:
    """The scrub marks it, the repair brings the same bytes back through the gate, the mark goes."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        assert await maintenance.scrub(before=LATER) == {"whole": 1, "missing": 0, "corrupt": 0, "unread": 0}
        rot(store.blob_path(NAME))
        assert (await maintenance.scrub(before=LATER))["corrupt"] == 1
        faulty = await service.service.app.state.services.index.maintenance.faulty()
        assert [(blob.address, blob.fault) for blob in faulty] == [(NAME, "corrupt")]
        assert await maintenance.repair() == 1
        assert store.blob_path(NAME).read_bytes() == BODY
        assert await service.service.app.state.services.index.maintenance.faulty() == []
        assert len(origin.requests) == 2
        assert service.traces() == [f"blobs/{NAME[:2]}/{NAME}"]


async def test_a_missing_blob_is_pulled_again(tmp_path: Path) -> None:
    """A file that is gone is told apart from one that rotted, and comes back too."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        store.blob_path(NAME).unlink()
        assert (await maintenance.scrub(before=LATER))["missing"] == 1
        assert await maintenance.repair() == 1
        assert store.blob_path(NAME).read_bytes() == BODY


async def test_other_bytes_mend_nothing(tmp_path: Path) -> None:
    """A source that has changed since, or a larger one, is refused; the mark stays, nothing is left."""
    turns = behaviours.in_turn(
        behaviours.serve(BODY), behaviours.serve(raw(300_000, seed=9)), behaviours.serve(BODY + b"x")
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        rot(store.blob_path(NAME))
        await maintenance.scrub(before=LATER)
        for _ in range(2):
            assert await maintenance.repair() == 0
        assert len(await service.service.app.state.services.index.maintenance.faulty()) == 1
        assert service.traces() == [f"blobs/{NAME[:2]}/{NAME}"]


async def test_a_source_that_is_forbidden_now_is_not_asked(tmp_path: Path) -> None:
    """A repair goes through the gate: what the operator has forbidden since is not reached."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        store.blob_path(NAME).unlink()
        await maintenance.scrub(before=LATER)
        service.write_config(address={"allow": []})
        service.service.reload()
        connections = origin.connections
        assert await maintenance.repair() == 0
        assert origin.connections == connections


async def test_a_url_whose_secret_is_gone_is_not_tried(tmp_path: Path) -> None:
    """What was left out of the record cannot be asked for again, so nobody is bothered."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x?token=secret"))
        maintenance, store = parts(service)
        store.blob_path(NAME).unlink()
        await maintenance.scrub(before=LATER)
        assert await maintenance.repair() == 0
        assert len(origin.requests) == 1


async def test_a_new_import_of_the_same_bytes_heals(tmp_path: Path) -> None:
    """Fresh bytes replace corrupt ones of the same name, and the mark goes."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        rot(store.blob_path(NAME))
        await maintenance.scrub(before=LATER)
        await service.run(url=origin.url("/x"))
        assert store.blob_path(NAME).read_bytes() == BODY
        assert await service.service.app.state.services.index.maintenance.faulty() == []


async def test_deleting_an_image_while_it_is_scrubbed(tmp_path: Path) -> None:
    """The reader goes on with the file it has; no mark is made for a row that is gone."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        created = await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        reading = asyncio.Event()
        read = store.read

        async def slow(address: str):
            async for chunk in read(address):
                reading.set()
                await service.service.app.state.services.importer.delete_image(created["image_id"], admin())
                yield chunk

        store.read = slow
        assert await maintenance.scrub(before=LATER) == {"whole": 0, "missing": 0, "corrupt": 0, "unread": 0}
        assert reading.is_set()
        assert service.traces() == []


async def test_deleting_an_image_while_it_is_mended(tmp_path: Path) -> None:
    """Bytes that come back for an image that is gone meanwhile are dropped."""
    opened = asyncio.Event()
    turns = behaviours.in_turn(behaviours.serve(BODY), behaviours.gated(behaviours.serve(BODY), opened))
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        created = await service.run(url=origin.url("/x"))
        maintenance, store = parts(service)
        rot(store.blob_path(NAME))
        await maintenance.scrub(before=LATER)
        repairing = asyncio.create_task(maintenance.repair())
        await origin.wait_requests(2)
        await service.service.app.state.services.importer.delete_image(created["image_id"], admin())
        opened.set()
        await repairing
        assert service.traces() == []


async def test_the_scrub_reads_at_a_bounded_rate(tmp_path: Path) -> None:
    """What it waits makes up for what it reads."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    limits = {"scrub_bytes_per_second": 100_000}
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(tmp_path, origin, maintenance=limits) as service,
    ):
        await service.run(url=origin.url("/x"))
        services = service.service.app.state.services
        maintenance = Maintenance(services.importer.context, services.importer.forget_old, sleep=sleep)
        await maintenance.scrub(before=LATER)
        assert 2 < sum(waited) < 3.1


async def test_old_audit_lines_and_keys_go(tmp_path: Path) -> None:
    """Nothing grows for ever; a key that is forgotten makes a new import."""
    ages = {"keep_audit_days": 1.0, "keep_idempotency_days": 1.0}
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(tmp_path, origin, maintenance=ages) as service,
    ):
        fields = {
            "json": {"url": origin.url("/x"), "disk_format": "raw"},
            "headers": {"Idempotency-Key": "k"},
        }
        first = (await service.call("POST", "/imports", **fields))[1]["id"]
        await service.ended(first)
        maintenance, _store = parts(service)
        connection = service.service.app.state.services.index.connection
        await maintenance.forget()
        assert (await service.call("POST", "/imports", **fields))[1]["id"] == first
        for table, column in (("audit", "at"), ("idempotency_keys", "created_at")):
            old = f"UPDATE {table} SET {column} = '2020-01-01T00:00:00.000000Z'"
            await connection.write(lambda db, sql=old: db.execute(sql))
        await maintenance.forget()
        assert await connection.read(lambda db: db.table("audit").count) == 0
        assert (await service.call("POST", "/imports", **fields))[1]["id"] != first


def loose(data: Path) -> set[str]:
    db = sqlite_utils.Database(data / "index.sqlite")
    found = {row["sha256"] for row in db.query("SELECT sha256 FROM loose_files")}
    db.conn.close()
    return found


async def test_power_lost_between_the_row_and_the_file_of_a_deletion(tmp_path: Path) -> None:
    """The transaction that drops the row notes the file, so the next start removes it."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        async with Running(tmp_path, origin) as service:
            created = await service.run(url=origin.url("/x"))
            services = service.service.app.state.services
            await services.index.images.delete(created["image_id"], admin())
            assert service.traces() == [f"blobs/{NAME[:2]}/{NAME}"]
        assert loose(service.data) == {NAME}
        async with Running(tmp_path, origin) as service:
            assert service.traces() == []
        assert loose(service.data) == set()


async def test_power_lost_after_a_cancel_in_mid_commit(tmp_path: Path) -> None:
    """The import has ended, so no start takes it up; its file was noted before it appeared, and goes."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        async with Running(tmp_path, origin) as service:
            importer = service.service.app.state.services.importer
            store = importer.context.store
            commit = store.commit
            known = asyncio.Event()
            cancelled: list[int] = []
            deleting: list[asyncio.Task[object]] = []

            async def then_cancelled(*arguments: object, **options: object) -> None:
                await commit(*arguments, **options)
                await known.wait()
                async with asyncio.timeout(30):
                    deleting.append(asyncio.create_task(service.call("DELETE", f"/imports/{created['id']}")))
                    while not (await importer.context.index.imports.find(created["id"], admin())).ended_at:
                        await asyncio.sleep(0.01)
                cancelled.append(len(service.traces()))
                shutil.copytree(service.data, tmp_path / "copy" / "data")

            store.commit = then_cancelled
            created = await service.submit(url=origin.url("/x"))
            known.set()
            ended = await service.ended(created["id"])
            await deleting[0]
            assert ended["state"] == "cancelled"
            assert cancelled == [1]
            assert service.traces() == []
        assert loose(tmp_path / "copy" / "data") == {NAME}
        async with Running(tmp_path / "copy", origin) as service:
            assert service.traces() == []
        agree(tmp_path / "copy" / "data")


async def test_files_that_nobody_knows_stay(tmp_path: Path) -> None:
    """An index that was lost or put back from a backup never makes a start delete images."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        async with Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/x"))
        for path in service.data.glob("index.sqlite*"):
            path.unlink()
        async with Running(tmp_path, origin) as service:
            assert service.traces() == [f"blobs/{NAME[:2]}/{NAME}"]


async def test_equal_bytes_where_one_import_is_cancelled_in_mid_commit(tmp_path: Path) -> None:
    """The file that the cancelled one brought is taken back inside its lock; the other one brings its own."""
    opened = asyncio.Event()
    held = behaviours.gated(behaviours.serve(BODY), opened)
    async with (
        Origin({"/x": behaviours.serve(BODY), "/y": held}) as origin,
        Running(tmp_path, origin) as service,
    ):
        importer = service.service.app.state.services.importer
        store = importer.context.store
        commit = store.commit
        second = await service.submit(url=origin.url("/y"))
        known = asyncio.Event()
        cancelling: list[asyncio.Task[object]] = []

        async def then_cancelled(*arguments: object, **options: object) -> None:
            await commit(*arguments, **options)
            await known.wait()
            if not cancelling:
                cancelling.append(asyncio.create_task(importer.cancel(first["id"], admin())))
                opened.set()  # The other one commits as soon as it may.
                while (await importer.context.index.imports.find(first["id"], admin())).ended_at is None:
                    await asyncio.sleep(0.005)

        store.commit = then_cancelled
        first = await service.submit(url=origin.url("/x"))
        known.set()
        assert (await service.ended(first["id"]))["state"] == "cancelled"
        assert (await service.ended(second["id"]))["state"] == "succeeded"
        await cancelling[0]
        assert service.traces() == [f"blobs/{NAME[:2]}/{NAME}"]
    agree(service.data)


async def test_a_deletion_while_equal_bytes_become_visible(tmp_path: Path) -> None:
    """Whoever deletes the last image asks again inside the lock, and finds that the bytes are needed anew."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        importer = service.service.app.state.services.importer
        store = importer.context.store
        commit = store.commit
        first = await service.run(url=origin.url("/x"))
        deleting: list[asyncio.Task[None]] = []

        async def then_deleted(*arguments: object, **options: object) -> None:
            await commit(*arguments, **options)  # Finds equal bytes, and drops its own.
            deleting.append(asyncio.create_task(importer.delete_image(first["image_id"], admin())))
            while await importer.context.index.images.has_blob(NAME):
                await asyncio.sleep(0.005)

        store.commit = then_deleted
        second = await service.run(url=origin.url("/x"))
        await deleting[0]
        assert second["state"] == "succeeded"
        assert store.blob_path(NAME).read_bytes() == BODY
    agree(service.data)
