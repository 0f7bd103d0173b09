"""The service on PostgreSQL: tests of every room, as they are, with the records in a database."""

import asyncio
import hashlib
from pathlib import Path

import psycopg
import pytest

from tests.api.image_v2.test_imports import (  # noqa: F401 - run here once more
    test_a_cancelled_import_leaves_the_record_queued,
    test_a_submitted_url_is_an_image_of_the_image_api,
    test_a_url_becomes_the_bytes_of_a_record,
)
from tests.api.image_v2.test_like_glance import test_a_declared_size_is_held_against_the_quota  # noqa: F401 - run here again, on PostgreSQL
from tests.contract.index.postgres import PostgresPlace
from tests.exporter.test_put import (  # noqa: F401 - likewise
    test_a_day_has_its_limit,
    test_the_receiver_gets_the_very_bytes,
)
from tests.images import raw
from tests.importer.test_once import (  # noqa: F401 - likewise
    test_an_unchanged_source_sends_no_body,
    test_cancelling_one_does_not_stop_the_others,
    test_each_follower_has_its_own_verdict,
)
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.maintenance.test_service import test_a_rotten_blob_is_found_and_pulled_again  # noqa: F401 - likewise
from tests.processes import Process
from tests.service import Running
from tests.webhooks.test_dispatcher import (  # noqa: F401 - likewise
    test_a_cancelled_import_is_told,
    test_a_receiver_in_trouble_is_tried_again,
)


@pytest.fixture(autouse=True)
def on_postgres(database: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every service of this module has its records in this database."""
    monkeypatch.setattr(Running, "everywhere", {"index": {"url": database.as_url}})


async def test_the_records_are_in_the_database_and_nowhere_else(
    database: PostgresPlace, tmp_path: Path
) -> None:
    """An import ends as ever; its row is in PostgreSQL, its bytes are in the folder; SQLite has none."""
    body = raw(300_000)
    async with (
        Origin({"/x": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        assert (await service.get("/readyz"))["status"] == "ready"
        again = await service.call(
            "POST", "/imports", json={"url": "http://127.0.0.1:1/x", "disk_format": "raw"}
        )
        assert again[0] == 400
        assert database.as_url not in str(await service.get("/limits"))
    with psycopg.connect(database.url) as connection:
        rows = connection.execute("SELECT state, digests::json ->> 'sha256' FROM imports").fetchall()
    assert rows == [("succeeded", hashlib.sha256(body).hexdigest())]
    assert not (tmp_path / "data" / "index.sqlite").exists()


async def test_a_repeated_request_is_one_import(tmp_path: Path) -> None:
    """The same key finds the first request's import; with another request it is refused."""
    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        asked = {"url": origin.url("/x"), "disk_format": "raw"}
        headers = {"Idempotency-Key": "k"}
        first = await service.call("POST", "/imports", json=asked, headers=headers)
        second = await service.call("POST", "/imports", json=asked, headers=headers)
        assert (first[0], second[0]) == (202, 202)
        assert first[1]["id"] == second[1]["id"]
        other = await service.call("POST", "/imports", json={**asked, "name": "n"}, headers=headers)
        assert other[1]["code"] == "idempotency-mismatch"


async def test_a_killed_host_goes_on_where_it_was(database: PostgresPlace, tmp_path: Path) -> None:
    """After kill -9 the same host takes up its import and pulls the rest alone."""
    body = raw(4_000_000)
    etag = '"one"'
    first = behaviours.stall(body, 2_000_000, fields={"ETag": etag})
    async with Origin({"/x": behaviours.in_turn(first, behaviours.serve(body, etag=etag))}) as origin:
        resume = {"mark_bytes": 65_536, "checkpoint_bytes": 65_536, "save_seconds": 0.05}
        running = Running(tmp_path, origin, resume=resume)
        running.write_config()
        async with Process(running.config) as service:
            asked = {"url": origin.url("/x"), "disk_format": "raw"}
            created = (await service.call("POST", "/imports", json=asked))[1]
            await origin.wait_requests(1)
            await resumable(database)
            await service.kill()
            await service.start()
            ended = await service.until(created["id"], "succeeded", "failed", "refused")
            assert ended["digests"]["sha256"] == hashlib.sha256(body).hexdigest()
            assert origin.requests[1].header("Range") is not None


async def resumable(database: PostgresPlace) -> None:
    """Wait until a resume state is written that tells of bytes."""
    async with asyncio.timeout(60), await psycopg.AsyncConnection.connect(database.url) as connection:
        await connection.set_autocommit(True)
        while True:
            cursor = await connection.execute("SELECT 1 FROM pulls WHERE kept_bytes > 0")
            if await cursor.fetchone():
                return
            await asyncio.sleep(0.02)


async def test_a_database_that_is_away_is_a_reason_and_passes(
    database: PostgresPlace, tmp_path: Path
) -> None:
    """While the database refuses, the service says so and takes nothing; afterwards it goes on by itself."""
    name = database.url.rpartition("=")[2]
    elsewhere = database.url.replace(f"dbname={name}", "dbname=postgres")
    async with Running(tmp_path, index={"connect_seconds": 0.5}) as service:
        with psycopg.connect(elsewhere, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            status, document, _headers = await service.call("GET", "/readyz")
            assert (status, document["reasons"][0]) == (503, "the index cannot be read")
            assert (await service.call("GET", "/healthz"))[0] == 200
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        async with asyncio.timeout(60):
            while (await service.call("GET", "/readyz"))[0] != 200:
                await asyncio.sleep(0.05)
