"""The presence of an index: a write counts only in files that a later start finds."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from fetcher.errors import StoreFailed
from fetcher.index.sqlite.connection import Connection
from tests.index.test_connection import add, values

NAME = "x.sqlite"


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    (tmp_path / "data").mkdir()
    made = Connection(
        tmp_path / "data" / NAME, lambda db: db.execute("CREATE TABLE IF NOT EXISTS numbers (value)")
    )
    await made.open()
    yield made
    await made.close()


def aside(path: Path) -> Callable[[], object]:
    """Move a file or folder away; returns what puts it back."""
    other = path.with_name("aside")
    path.rename(other)
    return lambda: other.rename(path)


def exchanged(path: Path) -> Callable[[], object]:
    """Put a copy in a file's place; returns what puts the file back."""
    back = aside(path)
    path.write_bytes(path.with_name("aside").read_bytes())
    return back


def under_another_folder(path: Path) -> Callable[[], object]:
    return aside(path.parent)


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("harm", [aside, exchanged, under_another_folder])
async def test_nothing_is_written_into_files_that_are_gone(
    harm: Callable[[Path], Callable[[], object]], ending: str, connection: Connection, tmp_path: Path
) -> None:
    """While one of the files is not at its place no write counts; when it is back, writes go on."""
    await connection.write(add, 1)
    back = harm(tmp_path / "data" / f"{NAME}{ending}")
    for number in (2, 3):  # The first shows it, and may have happened; the next is not begun.
        with pytest.raises(StoreFailed, match="removed or replaced"):
            await connection.write(add, number)
    assert connection.is_in_doubt
    back()
    await connection.write(add, 4)
    assert not connection.is_in_doubt
    assert await values(connection) == [1, 2, 4]
    await connection.close()
    with closing(sqlite3.connect(tmp_path / "data" / NAME)) as later:
        assert later.execute("SELECT value FROM numbers").fetchall() == [(1,), (2,), (4,)]


async def test_a_file_that_goes_within_the_write_takes_the_write_with_it(
    connection: Connection, tmp_path: Path
) -> None:
    """A commit into a file that was removed a moment before is no success, and may have happened."""
    back: list[Callable[[], object]] = []

    def remove_and_add(db: Database) -> int:
        back.append(aside(tmp_path / "data" / NAME))
        return add(db, 1)

    with pytest.raises(StoreFailed, match="removed or replaced"):
        await connection.write(remove_and_add)
    assert connection.is_in_doubt
    back[0]()
    await connection.write(add, 2)
    assert not connection.is_in_doubt
    assert await values(connection) == [1, 2]
