"""What the index does with imports that a stopped process left behind."""

from collections.abc import Sequence
from datetime import datetime

from sqlite_utils.db import Database

from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.imports import end, unfinished
from fetcher.index.sqlite.rows import select, to_text
from fetcher.index.sqlite.secrets import to_secrets
from fetcher.index.values import Secrets
from fetcher.lifecycle import State, origins_of
from fetcher.model import Import


class RecoveryRecords:
    """Domain verbs of a start; each is one transaction, however many imports there are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def left_behind(self) -> list[tuple[Import, Secrets | None]]:
        """Return what a stopped process left without an end, oldest first; what was sent has no secrets."""
        return await self._connection.read(_left_behind)

    async def take_up(self, interrupted: Sequence[Import], now: datetime) -> None:
        """End some imports that a stopped process left behind, and queue all others, in one transaction."""
        await self._connection.write(_take_up, interrupted, now)


def _left_behind(db: Database) -> list[tuple[Import, Secrets | None]]:
    secrets = {row["import_id"]: to_secrets(row) for row in select(db, "SELECT * FROM import_secrets")}
    return [(record, secrets.get(record.id)) for record in unfinished(db)]


def _take_up(db: Database, interrupted: Sequence[Import], now: datetime) -> None:
    for record in interrupted:
        end(db, record, {"code": record.verdict.code if record.verdict else None})
    origins = ", ".join(f"'{state}'" for state in origins_of(State.QUEUED))
    sql = f"""UPDATE imports SET state = ?, phase = NULL, claim = claim + 1, updated_at = ?
              WHERE ended_at IS NULL AND state IN ({origins})"""  # noqa: S608 - our states
    db.execute(sql, [State.QUEUED, to_text(now)])
