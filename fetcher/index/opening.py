"""The one place where it is decided which index a service has."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from fetcher.errors import StoreFailed
from fetcher.index import protocol
from fetcher.index.moving import Place
from fetcher.index.sqlite.index import Index as SqliteIndex
from fetcher.index.sqlite.moving import FileRecords
from fetcher.index.values import Quota, Worker
from fetcher.settings.places.index import Index as Rules

if TYPE_CHECKING:
    from fetcher.index.postgres.access import Access


def open_index(
    rules: Rules,
    path: Path,
    *,
    quota_of: Callable[[str], Quota] | None = None,
    worker: Worker | None = None,
) -> AbstractAsyncContextManager[protocol.Index]:
    """Return the index that the operator has chosen, to be opened: SQLite at a path, or a database.

    Args:
        quota_of: Given a project's id, what it may hold; without it, nothing is limited.
        worker: Who runs what is claimed here.

    Raises:
        StoreFailed: The database's password cannot be read.
    """
    if not rules.is_shared:
        return SqliteIndex(path, quota_of=quota_of, worker=worker)
    from fetcher.index.postgres.index import Index as PostgresIndex

    return PostgresIndex(_access(rules), quota_of=quota_of, worker=worker)


def records_of(rules: Rules, path: Path) -> Place:
    """Return all records of the index that `open_index` gives, as tables.

    Raises:
        StoreFailed: The database's password cannot be read.
    """
    if not rules.is_shared:
        return FileRecords(path)
    from fetcher.index.postgres.moving import DatabaseRecords

    return DatabaseRecords(_access(rules))


async def look_at(rules: Rules) -> str:
    """Return what an operator wants to know of the database; nothing in it changes.

    Raises:
        StoreFailed: It cannot be used.
    """
    from fetcher.index.postgres.access import look_at

    return await look_at(_access(rules))


def _access(rules: Rules) -> "Access":
    from fetcher.index.postgres.access import Access

    try:
        password = rules.secret()
    except OSError as error:
        raise StoreFailed(reason=f"index: {rules.password_file}: {error.strerror}") from error
    return Access(
        url=rules.url,
        password=password,
        connections=rules.max_connections,
        wait_seconds=rules.connect_seconds,
    )
