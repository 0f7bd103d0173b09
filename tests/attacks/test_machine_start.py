"""What a start makes of a process that was cut off: rows M13 and M21 of the attacks."""

import asyncio
import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest
import sqlite_utils

from fetcher.crash import VARIABLE
from fetcher.index import Index
from fetcher.lifecycle import State
from fetcher.model import Phase
from tests.attacks.test_machine_leftovers import store
from tests.images import raw
from tests.index.conftest import make
from tests.lab import Origin, behaviours
from tests.maintenance.test_service import loose
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config

BODY = raw(300_000)
NAME = hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("step", ["importer.announced", "store.synced", "store.renamed", "store.settled"])
async def test_m13_a_one_time_url_is_not_lost_in_a_commit(step: str, tmp_path: Path) -> None:
    """Killed between the last byte and the row, the bytes are judged anew and used: nobody is asked again."""
    once = behaviours.in_turn(behaviours.serve(BODY), behaviours.status(410))
    async with Origin({"/once": once}) as origin:
        service = Process(config(tmp_path, origin))
        service.environment = {VARIABLE: step}
        async with service:
            sent = {"url": origin.url("/once?ticket=1"), "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=sent))[1]
            await service._process.wait()
            await service.kill()
            service.environment = {}
            await service.start()
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert (ended["state"], ended["digests"]["sha256"]) == ("succeeded", NAME)
            assert len(origin.requests) == 1
            await service.kill()
        agree(tmp_path / "data")


async def test_m13_killed_while_it_takes_the_bytes_up_again(tmp_path: Path) -> None:
    """A start that is killed in mid-recovery leaves the next one as much to find."""
    once = behaviours.in_turn(behaviours.serve(BODY), behaviours.status(410))
    async with Origin({"/once": once}) as origin:
        service = Process(config(tmp_path, origin))
        service.environment = {VARIABLE: "store.renamed"}
        async with service:
            sent = {"url": origin.url("/once"), "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=sent))[1]
            await service._process.wait()
            for fate in ("store.adopted", "store.renamed"):
                await service.kill()
                service.environment = {VARIABLE: fate}
                with suppress(aiohttp.ClientError, OSError, AssertionError):
                    await service.start()
                await service._process.wait()
            await service.kill()
            service.environment = {}
            await service.start()
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert ended["state"] == "succeeded"
            assert len(origin.requests) == 1
            await service.kill()
        agree(tmp_path / "data")


async def test_m13_bytes_that_changed_meanwhile_are_pulled_again(tmp_path: Path) -> None:
    """A body that is not what it was before the crash is no image, and not given out: the source is asked."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        service = Process(config(tmp_path, origin))
        service.environment = {VARIABLE: "store.settled"}
        async with service:
            sent = {"url": origin.url("/x"), "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=sent))[1]
            await service._process.wait()
            await service.kill()
            (blob,) = (path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file())
            blob.write_bytes(BODY[:-1] + b"?")
            service.environment = {}
            await service.start()
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert (ended["state"], len(origin.requests)) == ("succeeded", 2)
            await service.kill()
        agree(tmp_path / "data")


async def test_m13_an_index_that_was_put_back_deletes_no_blob(tmp_path: Path) -> None:
    """A note of an older index does not remove a file that was written since; it is named instead."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        async with Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/x"))
        path = service.data / "blobs" / NAME[:2] / NAME
        db = sqlite_utils.Database(service.data / "index.sqlite")
        with db.atomic():
            for table in ("images", "blobs"):
                db.execute(f"DELETE FROM {table}")
            db.execute("UPDATE loose_files SET noted_at = '2026-01-01T00:00:00.000Z'")
        db.conn.close()
        assert loose(service.data) == {NAME}
        async with Running(tmp_path, origin) as service:
            assert path.read_bytes() == BODY
            assert loose(service.data) == set()


async def test_m13_a_backup_holds_no_notes_of_files(tmp_path: Path) -> None:
    """What the store was about to remove when it was copied is nothing that a later store should remove."""
    from fetcher.index.sqlite.backup import copy_index

    async with Running(tmp_path) as service:
        note = "INSERT INTO loose_files (sha256, noted_at) VALUES ('x', '2026-01-01T00:00:00.000Z')"
        await service.service.app.state.services.index.connection.write(lambda db: db.execute(note))
        (tmp_path / "copy").mkdir()
        await asyncio.to_thread(copy_index, service.data / "index.sqlite", tmp_path / "copy" / "index.sqlite")
    assert loose(tmp_path / "copy") == set()


async def leave_behind(path: Path, count: int) -> None:
    """Write an index of so many unfinished imports, some of them uploads or in their commit."""
    async with Index(path) as index:
        made = [make(number=number) for number in range(count)]
        for number, new in enumerate(made):
            method = "upload" if number % 10 == 1 else "web-download"
            made[number] = msgspec.structs.replace(
                new, record=msgspec.structs.replace(new.record, method=method)
            )
        for begin in range(0, count, 500):
            some = made[begin : begin + 500]
            await asyncio.gather(*(index.imports.submit(new, max_queued=10**6) for new in some))
        for new in made[:20]:
            running = msgspec.structs.replace(
                new.record, state=State.RUNNING, phase=Phase.COMMITTING, digests={"sha256": "ab" * 32}
            )
            await index.imports.record(running)
        for new in made[20:]:
            if new.record.method == "upload":  # What is sent runs from its first moment.
                running = msgspec.structs.replace(new.record, state=State.RUNNING, phase=Phase.PULLING)
                await index.imports.record(running)


async def test_m21_a_start_writes_the_index_a_few_times(tmp_path: Path) -> None:
    """However many imports were left behind, their recovery is a handful of transactions."""
    (tmp_path / "data").mkdir()
    await leave_behind(tmp_path / "data" / "index.sqlite", 2000)
    running = Running(tmp_path, imports={"max_running": 1})
    running.write_config()
    commits = 0
    from fetcher.index.sqlite import connection

    seal = connection.Connection._seal

    def count(self: connection.Connection, db: sqlite_utils.Database) -> None:
        nonlocal commits
        commits += 1
        seal(self, db)

    connection.Connection._seal = count  # type: ignore[method-assign] # counted, then put back
    try:
        async with running as service:
            services = service.service.app.state.services
            assert commits < 20
            assert sum(services.importer.counts().values()) > 1500
    finally:
        connection.Connection._seal = seal  # type: ignore[method-assign] # the machine that fails is the test's
    shutil.rmtree(tmp_path / "data")


async def test_m21_a_submission_does_not_wait_behind_all_that_join_a_pull(tmp_path: Path) -> None:
    """Thousands that follow one pull are claimed a few at a time: other writes go between them."""
    (tmp_path / "data").mkdir()
    await leave_behind(tmp_path / "data" / "index.sqlite", 3000)
    async with Running(tmp_path, imports={"max_running": 1}) as service:
        services = service.service.app.state.services
        await services.index.connection.write(lambda _db: None)
        assert len(services.importer._pulls.running_imports) < 1000
        async with asyncio.timeout(100):
            while any(services.importer.counts().values()):  # All join, and are refused for their URL.
                await services.index.connection.write(lambda _db: None)


async def test_m21_the_port_is_open_while_a_start_takes_up(tmp_path: Path) -> None:
    """With much to take up, `/healthz` answers, `/readyz` says that it is starting, and so do others."""
    async with Running(tmp_path) as service:
        services = service.service.app.state.services
        services.importer._is_open = False  # As it is until all has been taken up.
        assert (await service.call("GET", "/healthz"))[0] == 200
        status, document, _headers = await service.call("GET", "/readyz")
        assert (status, document["reasons"]) == (503, ["it is starting or stopping"])
        sent = {"url": "http://a.example/x", "disk_format": "raw"}
        status, document, _headers = await service.call("POST", "/imports", json=sent)
        assert (status, document["code"]) == (503, "not-ready")
        services.importer._is_open = True


async def test_m13_an_older_index_that_was_put_back_loses_no_bytes(tmp_path: Path) -> None:
    """What an older index does not know is kept, named by `store check`, and taken by a new import."""
    other = raw(200_000, seed=2)
    routes = {"/x": behaviours.serve(BODY), "/y": behaviours.serve(other)}
    async with Origin(routes) as origin:
        async with Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/x"))
        shutil.copy(service.data / "index.sqlite", tmp_path / "older.sqlite")
        async with Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/y"))
        for file in service.data.glob("index.sqlite*"):
            file.unlink()
        shutil.copy(tmp_path / "older.sqlite", service.data / "index.sqlite")
        name = hashlib.sha256(other).hexdigest()
        path = service.data / "blobs" / name[:2] / name
        async with Running(tmp_path, origin) as service:
            await service.service.app.state.services.maintenance.do_chores()
            assert path.read_bytes() == other
            checked = await store(service, "check", "--json")
            found = [(finding["kind"], finding["name"]) for finding in checked.json["findings"]]
            assert found == [("file-unknown", f"blobs/{name[:2]}/{name}")]
            ended = await service.run(url=origin.url("/y"))
            assert (ended["state"], path.read_bytes()) == ("succeeded", other)
            assert (await store(service, "check", "--json")).json["findings"] == []
