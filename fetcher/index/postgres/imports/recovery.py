"""Imports that a stopped process left behind."""

from collections.abc import Collection, Sequence
from datetime import datetime

from fetcher.index.postgres.imports.ending import end
from fetcher.index.postgres.imports.leases import FREE, holding
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.recovery_rows import left_of, to_unfinished, waiting_statement, whole_statement
from fetcher.index.rows import to_import, to_text
from fetcher.index.values import LeftBehind, Worker
from fetcher.lifecycle import State, origins_of
from fetcher.model import Import


class RecoveryRecords:
    """Domain verbs of a start; each is one transaction, however many imports there are."""

    def __init__(self, connection: Connection, worker: Worker) -> None:
        self._connection = connection
        self._worker = worker

    async def left_behind(self, sent: Collection[str] = ()) -> LeftBehind:
        return await self._connection.read(_left_behind, self._worker, sent)

    async def take_up(self, interrupted: Sequence[Import], now: datetime) -> None:
        await self._connection.write(_take_up, self._worker, interrupted, now)


async def _left_behind(db: Session, worker: Worker, sent: Collection[str]) -> LeftBehind:
    rows = await db.select(*waiting_statement(FREE, holding(worker), sent))
    waiting = [to_unfinished([*row.values()]) for row in rows]
    whole = [to_import(row) for row in await db.select(*whole_statement(FREE, holding(worker), sent))]
    return left_of(waiting, whole, sent)


async def _take_up(db: Session, worker: Worker, interrupted: Sequence[Import], now: datetime) -> None:
    for record in interrupted:
        await end(db, record, {"code": record.verdict.code if record.verdict else None})
    origins = ", ".join(f"'{state}'" for state in origins_of(State.QUEUED))
    sql = f"""UPDATE imports SET state = :state, phase = NULL, claim = claim + 1, updated_at = :now
              WHERE ended_at IS NULL AND state <> 'queued' AND state IN ({origins}) AND {FREE}
              RETURNING id"""  # noqa: S608 - our states
    queued = await db.select(sql, {**holding(worker), "state": State.QUEUED, "now": to_text(now)})
    await db.announce_queued([row["id"] for row in queued])
