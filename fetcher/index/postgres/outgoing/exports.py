"""Records of exports, from submission to verdict."""

from datetime import datetime
from typing import Any

from fetcher.errors import Conflict, QueueFull, UnknownExport
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
from fetcher.index.postgres.bookkeeping.audit import note_line
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.repeated import MADE_BEFORE, keyed, same_request
from fetcher.index.rows import to_json, to_text
from fetcher.index.values import (
    CANCELLED,
    Export,
    ExportBounds,
    IdempotencyKey,
    ReceiverSecrets,
    Worker,
)
from fetcher.lifecycle import Event, State, origins_of
from fetcher.model import Actor


class ExportRecords:
    """Domain verbs on exports; each is one transaction.

    Args:
        worker: Sends what is claimed here.
    """

    def __init__(self, connection: Connection, worker: Worker) -> None:
        self._connection = connection
        self._worker = worker

    async def submit(
        self,
        export: Export,
        secrets: ReceiverSecrets,
        *,
        bounds: ExportBounds,
        key: IdempotencyKey | None = None,
    ) -> Export:
        return await self._connection.write(_submit, export, secrets, bounds, key)

    async def find(self, export_id: str, actor: Actor) -> Export:
        return await self._connection.read(_find, export_id, scope.own_exports(actor))

    async def page(
        self, actor: Actor, *, limit: int, marker: str | None = None, state: str | None = None
    ) -> list[Export]:
        return await self._connection.read(_page, scope.own_exports(actor), limit, marker, state)

    async def waiting(self) -> list[Export]:
        return await self._connection.read(_waiting)

    async def requeue(self, now: datetime) -> int:
        return await self._connection.write(_requeue, self._worker, now)

    async def claim(self, export_id: str, now: datetime) -> tuple[Export, ReceiverSecrets] | None:
        return await self._connection.write(_claim, export_id, self._worker, now)

    async def record(self, export: Export) -> bool:
        return await self._connection.write(_record, export)

    async def remember(self, export: Export, resume: dict[str, Any]) -> bool:
        return await self._connection.write(_remember, export, resume)

    async def cancel(self, export_id: str, actor: Actor, now: datetime) -> Export:
        return await self._connection.write(_cancel, export_id, scope.own_exports(actor), now)

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        return await self._connection.write(_forget, before, most)

    async def trim(self, before: datetime, most_kept: int, *, most: int = 1000) -> int:
        return await self._connection.write(_trim, before, most_kept, most)


async def _submit(
    db: Session,
    export: Export,
    secrets: ReceiverSecrets,
    bounds: ExportBounds,
    key: IdempotencyKey | None,
) -> Export:
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('exports', 0))")
    for row in await db.select(MADE_BEFORE, [export.project_id, key.key]) if key else ():
        return export_of(same_request(row, key))
    [row] = await db.select("SELECT count(*) AS n FROM exports WHERE ended_at IS NULL")
    if row["n"] >= bounds.max_waiting:
        raise QueueFull(scope="the service's queue of exports", limit=bounds.max_waiting)
    of_day = "SELECT made, bytes, oldest FROM exports_of_day(?, ?)"
    [row] = await db.select(of_day, [export.project_id, to_text(bounds.since)])
    check_recent(row, export, bounds)
    await db.insert("exports", export_row(export) | keyed(key))
    await db.insert("export_secrets", secrets_row(export.id, secrets))
    await note_line(db, audit_row("export-submitted", export))
    return export


async def _find(db: Session, export_id: str, condition: scope.Condition, lock: str = "") -> Export:
    where, arguments = condition
    sql = f"SELECT * FROM exports WHERE id = :id AND {where} {lock}"  # noqa: S608 - our own condition
    for row in await db.select(sql, {"id": export_id, **arguments}):
        return export_of(row)
    raise UnknownExport(id=export_id)


async def _page(
    db: Session, condition: scope.Condition, limit: int, marker: str | None, state: str | None
) -> list[Export]:
    where, arguments = condition
    arguments = {**arguments, "limit": limit}
    if state is not None:
        where += " AND state = :state"
        arguments["state"] = state
    if marker is not None:
        start = await _find(db, marker, condition)
        where += " AND (created_at, id) < (:created_at, :marker)"
        arguments |= {"created_at": to_text(start.created_at), "marker": marker}
    order = "ORDER BY created_at DESC, id DESC LIMIT :limit"
    sql = f"SELECT * FROM exports WHERE {where} {order}"  # noqa: S608 - our own conditions
    return [export_of(row) for row in await db.select(sql, arguments)]


async def _waiting(db: Session) -> list[Export]:
    sql = "SELECT * FROM exports WHERE ended_at IS NULL AND state = 'queued' ORDER BY created_at, id"
    return [export_of(row) for row in await db.select(sql)]


async def _requeue(db: Session, worker: Worker, now: datetime) -> int:
    """Queue this worker's own: what others send, they send still, or somebody takes it over."""
    sql = """UPDATE exports SET state = 'queued', claim = claim + 1, sent_bytes = 0, updated_at = ?
             WHERE ended_at IS NULL AND state <> 'queued' AND host IN ('', ?)"""
    return int(await db.execute(sql, [to_text(now), worker.name]))


async def _claim(
    db: Session, export_id: str, worker: Worker, now: datetime
) -> tuple[Export, ReceiverSecrets] | None:
    sql = """UPDATE exports SET state = 'running', claim = claim + 1, updated_at = :now,
                    started_at = coalesce(started_at, :now), host = :host
             WHERE id = :id AND state = 'queued' RETURNING *"""
    arguments = {"now": to_text(now), "id": export_id, "host": worker.name}
    for row in list(await db.select(sql, arguments)):
        for secret in await db.select("SELECT * FROM export_secrets WHERE export_id = ?", [export_id]):
            return export_of(row), secrets_of(secret)
    return None


async def _record(db: Session, export: Export) -> bool:
    columns = export_row(export)
    changes = ", ".join(f"{name} = :{name}" for name in PROGRESS)
    origins = ", ".join(f"'{state}'" for state in origins_of(export.state))
    sql = f"""UPDATE exports SET {changes}
              WHERE id = :id AND claim = :claim AND ended_at IS NULL AND state IN ({origins})"""  # noqa: S608 - our columns and states
    is_ours: bool = await db.execute(sql, columns) == 1
    if is_ours and export.state.is_final:
        await note_line(db, audit_row(f"export-{export.state.value}", export))
    return is_ours


async def _remember(db: Session, export: Export, resume: dict[str, Any]) -> bool:
    sql = """UPDATE export_secrets SET resume = :resume WHERE export_id IN
             (SELECT id FROM exports WHERE id = :id AND claim = :claim AND ended_at IS NULL)"""
    arguments = {"resume": to_json(resume), "id": export.id, "claim": export.claim}
    return int(await db.execute(sql, arguments)) == 1


async def _cancel(db: Session, export_id: str, condition: scope.Condition, now: datetime) -> Export:
    before = await _find(db, export_id, condition, "FOR UPDATE")
    if before.state is State.CANCELLED:
        return before
    if before.state.is_final:
        raise Conflict(reason=f"the export has already {before.state.value}")
    await db.execute("UPDATE exports SET claim = claim + 1 WHERE id = ?", [export_id])
    after = before.moved(Event.CANCEL, now, verdict=CANCELLED, claim=before.claim + 1)
    await _record(db, after)
    return after


async def _forget(db: Session, before: datetime, most: int) -> int:
    # Whoever has exported nothing since then is counted anew, should they come again.
    await db.execute("DELETE FROM export_days WHERE since < ?", [to_text(before)])
    sql = """DELETE FROM exports WHERE id IN
             (SELECT id FROM exports WHERE ended_at < ? ORDER BY ended_at LIMIT ?)"""
    return int(await db.execute(sql, [to_text(before), most]))


async def _trim(db: Session, before: datetime, most_kept: int, most: int) -> int:
    gone = 0
    for row in list(await db.select(OVERFULL, {"most": most_kept})):
        limit = min(most, row["n"] - most_kept)
        more = {"project_id": row["project_id"], "before": to_text(before), "limit": limit}
        gone += int(await db.execute(SURPLUS, more))
    return gone
