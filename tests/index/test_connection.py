"""The connection: writes in one thread and one transaction each, failures told to their callers."""

import asyncio
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from fetcher.errors import Conflict, StoreFailed
from fetcher.index import Index
from fetcher.index.sqlite.connection import Connection


def add(db: Database, value: int) -> int:
    db.table("numbers").insert({"value": value})
    return value


def fail(db: Database) -> None:
    add(db, -1)
    raise Conflict(reason="no")


def broken(db: Database) -> None:
    add(db, -2)
    db.execute("SELECT * FROM nowhere")


@pytest.fixture
async def connection(tmp_path: Path):
    made = Connection(
        tmp_path / "x.sqlite", lambda db: db.execute("CREATE TABLE IF NOT EXISTS numbers (value)")
    )
    await made.open()
    yield made
    await made.close()


async def values(connection: Connection) -> list[int]:
    return await connection.read(lambda db: [row["value"] for row in db.query("SELECT value FROM numbers")])


async def test_writes_share_commits_and_fail_alone(connection: Connection) -> None:
    """A write that fails takes nothing of its neighbours' with it, whether it is ours or SQLite's fault."""
    jobs = [connection.write(add, number) for number in range(50)]
    jobs[20:20] = [connection.write(fail), connection.write(broken)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(result) for result in results[20:22]] == [Conflict, StoreFailed]
    assert sorted(await values(connection)) == list(range(50))


async def test_a_cancelled_caller_leaves_a_whole_write(connection: Connection) -> None:
    """A write is done or not done; a caller that stops waiting does not make it half done."""
    task = asyncio.create_task(connection.write(add, 1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await connection.write(add, 2)
    assert await values(connection) == [1, 2]


async def test_readers_cannot_write(connection: Connection) -> None:
    """One writer thread means one writer thread."""
    with pytest.raises(StoreFailed):
        await connection.read(add, 1)


async def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    """Somebody else's file is not written over."""
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    index = Index(path)
    with pytest.raises(StoreFailed):
        await index.connection.open()
    await index.connection.close()
    assert path.read_bytes() == b"not a database at all" * 100


async def test_migrations_run_once(tmp_path: Path) -> None:
    """A second start finds the schema and the records of the first."""
    for _ in range(2):
        async with Index(tmp_path / "index.sqlite") as index:
            tables = await index.connection.read(lambda db: db.table_names())
    assert {"images", "imports", "blobs", "audit"} <= set(tables)
