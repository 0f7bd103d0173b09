"""Verbs that are written once for both databases, on the one that runs them in a thread without a loop."""

import asyncio
from pathlib import Path

import pytest

from fetcher.index.portable.session import Session
from fetcher.index.sqlite.index import Index
from fetcher.index.sqlite.portable import PortableConnection

WRITE = "INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES ('written', 0, '')"
READ = "SELECT name FROM metadef_resource_types WHERE name = 'written'"


async def _write(db: Session) -> int:
    return await db.execute(WRITE)


async def _written(db: Session) -> list[str]:
    return [row["name"] for row in await db.select(READ)]


async def _write_and_wait(db: Session) -> None:
    await db.execute(WRITE)
    await asyncio.sleep(0)


async def _write_and_fail(db: Session) -> None:
    await db.execute(WRITE)
    raise LookupError("written")


async def test_a_verb_returns_what_it_found(tmp_path: Path) -> None:
    async with Index(tmp_path / "index.db") as index:
        connection = PortableConnection(index.connection)
        assert await connection.read(_written) == []
        assert await connection.write(_write) == 1
        assert await connection.read(_written) == ["written"]


async def test_a_verb_that_waits_for_something_else_is_refused_and_taken_back(tmp_path: Path) -> None:
    async with Index(tmp_path / "index.db") as index:
        connection = PortableConnection(index.connection)
        with pytest.raises(RuntimeError, match="waits for something else"):
            await connection.write(_write_and_wait)
        assert await connection.read(_written) == []


async def test_a_verb_that_fails_is_taken_back(tmp_path: Path) -> None:
    async with Index(tmp_path / "index.db") as index:
        connection = PortableConnection(index.connection)
        with pytest.raises(LookupError):
            await connection.write(_write_and_fail)
        assert await connection.read(_written) == []
