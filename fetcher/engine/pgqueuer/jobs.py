"""Rows of pgqueuer: its tables, the jobs that are put there, and what is taken away again."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import psycopg
import structlog
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.errors import PgqException
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from psycopg import AsyncConnection, sql

from fetcher.engine.pgqueuer.driver import ConnectionDriver
from fetcher.engine.postgres.engine import CHANNEL
from fetcher.index.postgres.schema import LOCK
from fetcher.index.postgres.session import Session

log = structlog.get_logger()

ENTRYPOINT = "import"
SCHEMA = "pgqueuer"
JOBS_CHANNEL = "fetcher_jobs"
MAX_AT_ONCE = 1000  # At a look: there is another one soon.
# What a job costs a submission must have an end, also where pgqueuer's tables are locked.
BEGIN = b"SAVEPOINT engine; SET LOCAL lock_timeout = '1s'"
KEEP = b"SET LOCAL lock_timeout TO DEFAULT; RELEASE SAVEPOINT engine"
UNDO = b"ROLLBACK TO SAVEPOINT engine; RELEASE SAVEPOINT engine"
OFFER = "SELECT pg_notify(%s, 'offer ' || id) FROM unnest(%s::text[]) AS id"


def queries_on(driver: ConnectionDriver) -> Queries:
    """Return pgqueuer's statements, on tables in a schema of its own.

    They are not logged ahead: a crash of the database empties them, and the records show what waits.
    """
    names = DBSettings(db_schema=SCHEMA, channel=Channel(JOBS_CHANNEL), durability=Durability.volatile)
    return Queries(
        driver,
        qbe=QueryBuilderEnvironment(names),
        qbq=QueryQueueBuilder(names),
        qbs=QuerySchedulerBuilder(names),
    )


def is_later(there: str, here: str) -> bool:
    """Return whether one version of pgqueuer is later than another."""
    numbers = [[int(part) for part in re.findall(r"\d+", one)[:3]] for one in (there, here)]
    return numbers[0] > numbers[1]


async def install(connection: AsyncConnection[Any]) -> None:
    """Bring pgqueuer's tables up to this host's release of it; what a later one made is left as it is.

    Raises:
        psycopg.Error: The database refuses.
    """
    here, queries = version("pgqueuer"), queries_on(ConnectionDriver(connection))
    await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    try:
        cursor = await connection.execute(
            "SELECT obj_description(to_regnamespace(%s), 'pg_namespace')", [SCHEMA]
        )
        row = await cursor.fetchone()
        there = str(row[0]) if row and row[0] else ""
        if is_later(there, here):
            log.warning("engine.later_schema", there=there, here=here)
            return
        if await queries.schema_is_installed():
            await queries.upgrade()
        else:
            await queries.install()
        words = sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(SCHEMA), here)
        await connection.execute(words)
    finally:
        await connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


async def enqueue(db: Session, import_ids: Sequence[str]) -> None:
    """Put one job for each import into the transaction that queues it.

    Where pgqueuer's tables refuse, the transaction goes on without, and offers the imports to all hosts.
    """
    ids = list(import_ids)
    await db.connection.execute(BEGIN)
    try:
        queries = queries_on(ConnectionDriver(db.connection))
        await queries.enqueue([ENTRYPOINT] * len(ids), [one.encode() for one in ids], [0] * len(ids))
    except (psycopg.Error, PgqException) as error:
        await db.connection.execute(UNDO)
        await db.connection.execute(OFFER, [CHANNEL, ids])
        log.warning("engine.not_enqueued", import_ids=ids, detail=str(error))
    else:
        await db.connection.execute(KEEP)


async def is_queued(db: Session, import_id: str) -> bool:
    """Return whether an import still waits."""
    return bool(await db.select("SELECT 1 FROM imports WHERE id = ? AND state = 'queued'", [import_id]))


async def waiting(db: Session) -> set[str]:
    """Return the imports that wait, of the oldest thousand."""
    words = f"""SELECT id FROM imports WHERE ended_at IS NULL AND state = 'queued'
                ORDER BY created_at, id LIMIT {MAX_AT_ONCE}"""  # noqa: S608 - our number
    return {row["id"] for row in await db.select(words)}
