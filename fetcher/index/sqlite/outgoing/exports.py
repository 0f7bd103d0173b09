"""Records of exports, from submission to verdict."""

from datetime import datetime
from typing import Any

from sqlite_utils.db import Database

from fetcher.errors import Conflict, IdempotencyMismatch, QueueFull, SendLimit, UnknownExport
from fetcher.index import scope
from fetcher.index.export_rows import (
    OVERFULL,
    PROGRESS,
    SURPLUS,
    audit_row,
    check_recent,
    export_of,
    export_row,
    secrets_of,
    secrets_row,
)
from fetcher.index.repeated import MADE_BEFORE, keyed, same_request
from fetcher.index.rows import to_json, to_text
from fetcher.index.sqlite.bookkeeping.audit import note_line
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.outgoing.day import Day
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import (
    CANCELLED,
    Export,
    ExportBounds,
    IdempotencyKey,
    ReceiverSecrets,
)
from fetcher.lifecycle import Event, State, origins_of
from fetcher.model import Actor


class ExportRecords:
    """Domain verbs on exports; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._day = Day()

    async def submit(
        self,
        export: Export,
        secrets: ReceiverSecrets,
        *,
        bounds: ExportBounds,
        key: IdempotencyKey | None = None,
    ) -> Export:
        try:
            return await self._connection.write(_submit, self._day, export, secrets, bounds, key=key)
        except (QueueFull, SendLimit, IdempotencyMismatch):
            raise  # Before it was counted.
        except BaseException:
            self._day.drop(export.project_id)  # It may have been counted before it was taken back.
            raise

    async def find(self, export_id: str, actor: Actor) -> Export:
        return await self._connection.read(_find, export_id, scope.own_exports(actor))

    async def page(
        self, actor: Actor, *, limit: int, marker: str | None = None, state: str | None = None
    ) -> list[Export]:
        return await self._connection.read(_page, scope.own_exports(actor), limit, marker, state)

    async def waiting(self) -> list[Export]:
        return await self._connection.read(_waiting)

    async def requeue(self, now: datetime) -> int:
        return await self._connection.write(_requeue, now)

    async def claim(self, export_id: str, now: datetime) -> tuple[Export, ReceiverSecrets] | None:
        return await self._connection.write(_claim, export_id, now)

    async def record(self, export: Export) -> bool:
        return await self._connection.write(_record, self._day, export)

    async def remember(self, export: Export, resume: dict[str, Any]) -> bool:
        return await self._connection.write(_remember, export, resume)

    async def cancel(self, export_id: str, actor: Actor, now: datetime) -> Export:
        return await self._connection.write(_cancel, self._day, export_id, scope.own_exports(actor), now)

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        return await self._connection.write(_forget, self._day, before, most)

    async def trim(self, before: datetime, most_kept: int, *, most: int = 1000) -> int:
        return await self._connection.write(_trim, self._day, before, most_kept, most)


def _submit(  # noqa: PLR0913 - what is written, and what it is judged by
    db: Database,
    day: Day,
    export: Export,
    secrets: ReceiverSecrets,
    bounds: ExportBounds,
    *,
    key: IdempotencyKey | None,
) -> Export:
    for row in select(db, MADE_BEFORE, [export.project_id, key.key]) if key else ():
        return export_of(same_request(row, key))
    if db.execute("SELECT count(*) FROM exports WHERE ended_at IS NULL").fetchone()[0] >= bounds.max_waiting:
        raise QueueFull(scope="the service's queue of exports", limit=bounds.max_waiting)
    check_recent(day.row(db, export.project_id, bounds.since), export, bounds)
    insert(db, "exports", export_row(export) | keyed(key))
    day.add(export)
    insert(db, "export_secrets", secrets_row(export.id, secrets))
    note_line(db, audit_row("export-submitted", export))
    return export


def _find(db: Database, export_id: str, condition: scope.Condition) -> Export:
    where, arguments = condition
    sql = f"SELECT * FROM exports WHERE id = :id AND {where}"  # noqa: S608 - our own condition
    for row in select(db, sql, {"id": export_id, **arguments}):
        return export_of(row)
    raise UnknownExport(id=export_id)


def _page(
    db: Database, condition: scope.Condition, limit: int, marker: str | None, state: str | None
) -> list[Export]:
    where, arguments = condition
    arguments = {**arguments, "limit": limit}
    if state is not None:
        where += " AND state = :state"
        arguments["state"] = state
    if marker is not None:
        start = _find(db, marker, condition)
        where += " AND (created_at, id) < (:created_at, :marker)"
        arguments |= {"created_at": to_text(start.created_at), "marker": marker}
    order = "ORDER BY created_at DESC, id DESC LIMIT :limit"
    return [export_of(row) for row in select(db, f"SELECT * FROM exports WHERE {where} {order}", arguments)]  # noqa: S608 - our own conditions


def _waiting(db: Database) -> list[Export]:
    sql = "SELECT * FROM exports WHERE ended_at IS NULL AND state = 'queued' ORDER BY created_at, id"
    return [export_of(row) for row in select(db, sql)]


def _requeue(db: Database, now: datetime) -> int:
    sql = """UPDATE exports SET state = 'queued', claim = claim + 1, sent_bytes = 0, updated_at = ?
             WHERE ended_at IS NULL AND state <> 'queued'"""
    return int(db.execute(sql, [to_text(now)]).rowcount)


def _claim(db: Database, export_id: str, now: datetime) -> tuple[Export, ReceiverSecrets] | None:
    sql = """UPDATE exports SET state = 'running', claim = claim + 1, updated_at = :now,
                    started_at = coalesce(started_at, :now)
             WHERE id = :id AND state = 'queued' RETURNING *"""
    for row in list(select(db, sql, {"now": to_text(now), "id": export_id})):
        for secret in select(db, "SELECT * FROM export_secrets WHERE export_id = ?", [export_id]):
            return export_of(row), secrets_of(secret)
    return None


def _record(db: Database, day: Day, export: Export) -> bool:
    for size, project_id in db.execute("SELECT size, project_id FROM exports WHERE id = ?", [export.id]):
        if size != export.size:  # It is known now what a conversion made of it.
            day.drop(project_id)
    columns = export_row(export)
    changes = ", ".join(f"{name} = :{name}" for name in PROGRESS)
    origins = ", ".join(f"'{state}'" for state in origins_of(export.state))
    sql = f"""UPDATE exports SET {changes}
              WHERE id = :id AND claim = :claim AND ended_at IS NULL AND state IN ({origins})"""  # noqa: S608 - our columns and states
    is_ours: bool = db.execute(sql, columns).rowcount == 1
    if is_ours and export.state.is_final:
        note_line(db, audit_row(f"export-{export.state.value}", export))
    return is_ours


def _remember(db: Database, export: Export, resume: dict[str, Any]) -> bool:
    sql = """UPDATE export_secrets SET resume = :resume WHERE export_id IN
             (SELECT id FROM exports WHERE id = :id AND claim = :claim AND ended_at IS NULL)"""
    arguments = {"resume": to_json(resume), "id": export.id, "claim": export.claim}
    return int(db.execute(sql, arguments).rowcount) == 1


def _cancel(db: Database, day: Day, export_id: str, condition: scope.Condition, now: datetime) -> Export:
    before = _find(db, export_id, condition)
    if before.state is State.CANCELLED:
        return before
    if before.state.is_final:
        raise Conflict(reason=f"the export has already {before.state.value}")
    db.execute("UPDATE exports SET claim = claim + 1 WHERE id = ?", [export_id])
    after = before.moved(Event.CANCEL, now, verdict=CANCELLED, claim=before.claim + 1)
    _record(db, day, after)
    return after


def _forget(db: Database, day: Day, before: datetime, most: int) -> int:
    day.clear()
    sql = """DELETE FROM exports WHERE id IN
             (SELECT id FROM exports WHERE ended_at < ? ORDER BY ended_at LIMIT ?)"""
    return int(db.execute(sql, [to_text(before), most]).rowcount)


def _trim(db: Database, day: Day, before: datetime, most_kept: int, most: int) -> int:
    gone = 0
    for row in list(select(db, OVERFULL, {"most": most_kept})):
        limit = min(most, row["n"] - most_kept)
        more = {"project_id": row["project_id"], "before": to_text(before), "limit": limit}
        gone += int(db.execute(SURPLUS, more).rowcount)
        day.drop(row["project_id"])
    return gone
