"""The tables, as numbered migrations: files of `migrations/` that never change, applied under one lock."""

from pathlib import Path

from psycopg import AsyncConnection

from fetcher.errors import StoreFailed

FILES = Path(__file__).parent / "migrations"
LOCK = 0x6665_7463_6865_7201  # Ours among all advisory locks of the database.


async def migrate(connection: AsyncConnection[tuple[object, ...]]) -> None:
    """Bring a database of any earlier version up to date; one host does it, and others wait for it.

    Raises:
        StoreFailed: It is a later version's.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())"
        )
        cursor = await connection.execute("SELECT name FROM migrations")
        applied = {str(row[0]) for row in await cursor.fetchall()}
        files = sorted(FILES.glob("*.sql"))
        if unknown := applied - {file.stem for file in files}:
            raise StoreFailed(reason=f"the index is a later version's: it has {', '.join(sorted(unknown))}")
        for file in files:
            if file.stem not in applied:
                await connection.execute(file.read_text(encoding="utf-8").encode())
                await connection.execute("INSERT INTO migrations (name) VALUES (%s)", [file.stem])
