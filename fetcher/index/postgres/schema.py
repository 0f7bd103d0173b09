"""The tables, as numbered migrations: files of `migrations/` that never change, applied under one lock."""

from contextlib import suppress
from pathlib import Path

from psycopg import AsyncConnection
from psycopg.errors import DeadlockDetected

from fetcher.errors import StoreFailed

FILES = Path(__file__).parent / "migrations"
MAX_TRIES = 5
LOCK = 0x6665_7463_6865_7201  # Ours among all advisory locks of the database.


async def migrate(connection: AsyncConnection[tuple[object, ...]]) -> None:
    """Bring a database of any earlier version up to date; one host does it, and others wait for it.

    Hosts of that version may be at work meanwhile: where theirs and this one's locks wait for each other, and
    the server ends this one's transaction, it begins anew.

    Raises:
        StoreFailed: It is a later version's.
        psycopg.Error: The server refused, or ended it several times.
    """
    for _ in range(MAX_TRIES - 1):
        with suppress(DeadlockDetected):
            await _apply(connection)
            return
    await _apply(connection)


async def _apply(connection: AsyncConnection[tuple[object, ...]]) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())"
        )
        cursor = await connection.execute("SELECT name FROM migrations")
        applied = {str(row[0]) for row in await cursor.fetchall()}
        files = sorted(FILES.glob("*.sql"))
        check_known(applied, {file.stem for file in files})
        for file in files:
            if file.stem not in applied:
                await connection.execute(file.read_text(encoding="utf-8").encode())
                await connection.execute("INSERT INTO migrations (name) VALUES (%s)", [file.stem])


async def pending(connection: AsyncConnection[tuple[object, ...]]) -> int:
    """Return how many migrations the next start will apply; changes nothing.

    Raises:
        StoreFailed: The database is a later version's.
    """
    names = {file.stem for file in FILES.glob("*.sql")}
    cursor = await connection.execute("SELECT to_regclass('migrations') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        return len(names)
    cursor = await connection.execute("SELECT name FROM migrations")
    applied = {str(row[0]) for row in await cursor.fetchall()}
    check_known(applied, names)
    return len(names - applied)


def check_known(applied: set[str], names: set[str]) -> None:
    """Refuse a database that has migrations which we do not know.

    Raises:
        StoreFailed: It has.
    """
    if unknown := applied - names:
        listed = ", ".join(sorted(unknown))
        raise StoreFailed(reason=f"the index is a later version's: it has {listed}; upgrade this host")
