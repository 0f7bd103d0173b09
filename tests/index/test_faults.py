"""Below the index: locked, full, corrupt. Writers are told, nothing is half done, nobody waits for ever."""

import asyncio
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils.db import Database

from fetcher.errors import StoreFailed
from fetcher.index import Index
from fetcher.index.sqlite import connection
from tests.images import raw
from tests.index.conftest import ALICE, make
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


async def test_a_locked_index_refuses_all_that_wait_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty writers behind a foreign lock are told after one wait together, not after one wait each."""
    monkeypatch.setattr(connection, "BUSY_MILLISECONDS", 1000)
    async with Index(tmp_path / "index.sqlite") as index:
        holder = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        jobs = [index.imports.submit(make(number=number), max_queued=100) for number in range(20)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert time.monotonic() - began < 15
        assert all(isinstance(result, StoreFailed) for result in results)
        holder.execute("ROLLBACK")
        holder.close()
        await index.imports.submit(make(), max_queued=100)


async def test_a_full_index_keeps_what_it_has(tmp_path: Path) -> None:
    """When the file can grow no more, writers are told, readers go on, and a deletion makes room again."""
    async with Index(tmp_path / "index.sqlite") as index:
        first = make()
        await index.imports.submit(first, max_queued=100_000)
        pages = await index.connection.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        await index.connection.write(
            lambda db: db.execute(f"PRAGMA max_page_count = {pages + 30}").fetchall()
        )
        made, refusal = 0, None
        while refusal is None and made < 1000:
            try:
                await index.imports.submit(make(number=made), max_queued=100_000)
                made += 1
            except StoreFailed as failure:
                refusal = failure
        assert 0 < made < 1000
        assert "full" in str(refusal)
        assert len((await index.recovery.left_behind()).waiting) == made + 1
        assert await index.maintenance.miscounted() == []
        assert await index.maintenance.complaints() == []
        await index.connection.write(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())
        await index.imports.submit(make(), max_queued=100_000)


async def test_an_import_outlives_an_index_that_is_locked_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that cannot be written is written later: no import stands as running with nobody running it."""
    monkeypatch.setattr(connection, "BUSY_MILLISECONDS", 20)
    opened = asyncio.Event()
    routes = {"/x": behaviours.gated(behaviours.status(404), opened)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        created = await service.submit(url=origin.url("/x"))
        await origin.wait_requests(1)
        holder = sqlite3.connect(service.data / "index.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        opened.set()
        await origin.wait_idle()
        status, _document, _headers = await service.call("POST", "/imports", json={"url": origin.url("/x")})
        assert status == 503
        holder.execute("ROLLBACK")
        holder.close()
        ended = await service.ended(created["id"])
        assert (ended["state"], ended["verdict"]["code"]) == ("failed", "source-status")


async def test_a_locked_index_while_committing_leaves_no_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes whose row could not be written are removed again, and the import says store-failed."""
    monkeypatch.setattr(connection, "BUSY_MILLISECONDS", 20)
    body = raw(100_000)
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        store = service.service.app.state.services.store
        commit = store.commit
        holder = sqlite3.connect(service.data / "index.sqlite", isolation_level=None)

        async def then_locked(*arguments: object, **options: object) -> None:
            await commit(*arguments, **options)
            holder.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.3, holder.execute, "ROLLBACK")

        store.commit = then_locked
        ended = await service.run(url=origin.url("/x"))
        holder.close()
        assert (ended["state"], ended["verdict"]["code"]) == ("failed", "store-failed")
        assert service.traces() == []


async def test_an_import_outlives_an_index_that_is_full_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not become visible leaves no bytes; its end is written once there is room, and says why."""
    opened = asyncio.Event()
    routes = {"/x": behaviours.gated(behaviours.serve(raw(100_000)), opened)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        services = service.service.app.state.services
        records = services.index.imports
        end, was_refused = records.end, asyncio.Event()

        async def end_watched(*arguments: Any) -> Any:
            """Tell when the verdict, which is "failed" by now, could not be written."""
            try:
                return await end(*arguments)
            except StoreFailed:
                was_refused.set()
                raise

        monkeypatch.setattr(records, "end", end_watched)
        created = await service.submit(url=origin.url("/x"))
        await origin.wait_requests(1)

        def limit(db: Database, pages: str) -> None:
            db.execute(f"PRAGMA max_page_count = {pages}").fetchall()

        def thirst(db: Database) -> None:
            """Have every write of an import need more pages than there are."""
            large = "INSERT INTO audit (at, project_id, user_id, action, detail)"
            for verb in ("INSERT", "UPDATE"):
                db.execute(
                    f"""CREATE TEMP TRIGGER on_{verb} BEFORE {verb} ON main.imports
                        BEGIN {large} VALUES ('x', 'x', 'x', 'x', zeroblob(200000)); END"""
                )

        pages = await services.index.connection.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        await services.index.connection.write(limit, str(pages))
        await services.index.connection.write(thirst)
        opened.set()
        assert (await service.call("POST", "/imports", json={"url": origin.url("/x")}))[0] == 503
        await was_refused.wait()
        await services.index.connection.write(limit, "1000000")
        ended = await service.ended(created["id"])
        assert (ended["state"], ended["verdict"]["code"]) == ("failed", "store-failed")
        assert service.traces() == []
        assert await services.index.maintenance.miscounted() == []


async def test_a_corrupt_index_is_said(tmp_path: Path) -> None:
    """Broken pages end in a sentence, for the reader and for the check."""
    path = tmp_path / "index.sqlite"
    async with Index(path) as index:
        for number in range(200):
            await index.imports.submit(make(number=number), max_queued=1000)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * (path.stat().st_size - 4096 * 4))
    index = Index(path)
    with pytest.raises(StoreFailed, match="malformed"):
        await index.imports.page(ALICE, {}, limit=1000)
    with suppress(StoreFailed):  # SQLite may find the damage too great even to describe it.
        assert await index.maintenance.complaints() != []
    await index.connection.close()
