"""Imports and exports that hosts which are gone left to those that live."""

from collections.abc import Sequence

from fetcher.index.import_rows import to_secrets
from fetcher.index.postgres.session import Session
from fetcher.index.rows import to_import
from fetcher.index.values import Secrets
from fetcher.lifecycle import State, origins_of
from fetcher.model import Import

OVERDUE = """ended_at IS NULL AND state <> 'queued' AND coalesce(worker, '') <> :host
    AND coalesce(lease_until <= clock_timestamp(), true)"""
WITH_SECRETS = """SELECT imports.*, to_json(kept) AS secrets
    FROM imports LEFT JOIN import_secrets AS kept ON kept.import_id = imports.id"""
OLDEST_FIRST = "ORDER BY created_at, id"
MAX_AT_ONCE = 1000  # At a look: there is another one soon.


async def overdue(db: Session, host: str) -> list[tuple[Import, Secrets | None]]:
    """Return what nobody holds any more."""
    return [
        (to_import(row), None if row["secrets"] is None else to_secrets(row["secrets"]))
        for row in await db.select(
            f"{WITH_SECRETS} WHERE {OVERDUE} {OLDEST_FIRST} LIMIT {MAX_AT_ONCE}", {"host": host}
        )
    ]


async def take_over(db: Session, host: str, import_ids: Sequence[str]) -> None:
    """Queue what nobody holds any more; who was slow to let go changes nothing from here on.

    A row that is being written is not abandoned: it is left to the next look.
    """
    origins = ", ".join(f"'{state}'" for state in origins_of(State.QUEUED))
    sql = f"""UPDATE imports SET state = 'queued', phase = NULL, claim = claim + 1, updated_at = moment_now()
              WHERE id IN (SELECT id FROM imports WHERE id = ANY(:ids) AND state IN ({origins}) AND {OVERDUE}
                  ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id"""  # noqa: S608 - our states
    taken = await db.select(sql, {"host": host, "ids": list(import_ids)})
    await db.announce_queued([row["id"] for row in taken])


async def queued(db: Session, import_ids: Sequence[str] | None) -> list[tuple[Import, Secrets]]:
    """Return what waits."""
    where = "TRUE" if import_ids is None else "id = ANY(:ids)"
    sql = f"{WITH_SECRETS} WHERE ended_at IS NULL AND state = 'queued' AND {where} {OLDEST_FIRST}"
    rows = await db.select(sql, {"ids": list(import_ids or ())})
    return [(to_import(row), to_secrets(row["secrets"])) for row in rows if row["secrets"] is not None]


async def take_exports(db: Session, host: str) -> int:
    """Queue what hosts that are gone were sending."""
    sql = """UPDATE exports SET state = 'queued', claim = claim + 1, sent_bytes = 0, updated_at = moment_now()
             WHERE ended_at IS NULL AND state <> 'queued' AND host <> :host AND NOT is_alive(host)"""
    return await db.execute(sql, {"host": host})
