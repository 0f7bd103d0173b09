"""The beginning of imports: claim, and the way back into the queue."""

from datetime import datetime

from fetcher.index import scope
from fetcher.index.postgres.bookkeeping.usage import bytes_of
from fetcher.index.postgres.imports.ending import replace_row
from fetcher.index.postgres.imports.leases import UNTIL, holding
from fetcher.index.postgres.imports.reading import one
from fetcher.index.postgres.imports.secrets import load_secrets
from fetcher.index.postgres.imports.submitting import submit
from fetcher.index.postgres.session import Session
from fetcher.index.rows import to_import, to_text
from fetcher.index.values import Claimed, NewImport, Worker
from fetcher.lifecycle import Event, State, next_state
from fetcher.model import Import


async def begin(
    db: Session, new: NewImport, max_queued: int, worker: Worker, now: datetime
) -> tuple[Import, Claimed | None]:
    """Write a new import, and claim it."""
    written = await submit(db, new, max_queued)
    is_new = written.id == new.record.id
    return written, await claim(db, written.id, worker, now) if is_new else None


async def requeue(db: Session, import_id: str, now: datetime) -> int:
    """Put an import back into the queue under a new claim; 0 when it has ended."""
    record = to_import(await one(db, import_id, (scope.EVERYTHING, {}), lock="FOR UPDATE"))
    if record.state.is_final:
        return 0
    claim = record.claim + 1
    await replace_row(db, record, record.moved(Event.REQUEUE, now, phase=None, claim=claim))
    await db.announce_queued([import_id])
    return claim


async def claim(db: Session, import_id: str, worker: Worker, now: datetime) -> Claimed | None:
    """Take a queued import for a run, under a claim of its own; its first attempt begins with the claim."""
    sql = f"""UPDATE imports SET state = :state, claim = claim + 1, updated_at = :now,
                     started_at = coalesce(started_at, :now), worker = :worker, lease_until = {UNTIL},
                     attempts = CASE WHEN attempts <> '[]' THEN attempts
                         ELSE json_build_array(json_build_object(
                             'number', 1, 'started_at', :now::text, 'url', url))::text END
              WHERE id = :id AND state = :queued RETURNING *"""  # noqa: S608 - our expression
    running = next_state(State.QUEUED, Event.CLAIM)
    states = {"state": running, "queued": State.QUEUED}
    arguments = {**holding(worker), **states, "now": to_text(now), "id": import_id}
    for row in list(await db.select(sql, arguments)):
        record = to_import(row)
        return Claimed(record, await load_secrets(db, import_id), await bytes_of(db, record.project_id))
    return None
