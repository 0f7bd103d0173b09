"""The beginning of imports: submission, claim, the way back into the queue."""

from datetime import datetime

import msgspec

from fetcher.errors import IdempotencyMismatch, QueueFull
from fetcher.index import scope
from fetcher.index.import_rows import MADE_BEFORE
from fetcher.index.postgres.audit import note
from fetcher.index.postgres.images import insert_image
from fetcher.index.postgres.imports.ending import replace_row
from fetcher.index.postgres.imports.images import take_image
from fetcher.index.postgres.imports.leases import UNTIL, holding
from fetcher.index.postgres.imports.reading import one
from fetcher.index.postgres.imports.secrets import keep_secrets, load_secrets
from fetcher.index.postgres.session import Session
from fetcher.index.postgres.usage import bytes_of
from fetcher.index.postgres.webhook_targets import keep_notice
from fetcher.index.rows import import_row, to_import, to_text
from fetcher.index.values import Claimed, IdempotencyKey, NewImport, Worker
from fetcher.lifecycle import Event, State, next_state
from fetcher.model import Import

MOST_WRITERS = 1_000  # At the same moment, over all hosts: more connections no database is set up for.


async def submit(db: Session, new: NewImport, max_queued: int) -> Import:
    """Write a new import and its image, or find the one that the same key made before."""
    written = await _insert(db, new, max_queued)
    if written.id == new.record.id:
        await db.tell_queued([written.id])
    return written


async def _insert(db: Session, new: NewImport, max_queued: int) -> Import:
    record = new.record
    if new.key is not None and (before := await _made_before(db, record.project_id, new.key)) is not None:
        return before
    await _check_queue(db, max_queued)
    if record.owns_image:
        await insert_image(db, new.image)
    else:
        await take_image(db, record, "importing")
    await db.insert("imports", import_row(record, new.shown_url))
    await keep_secrets(db, record.id, new.secrets)
    if new.webhook is not None:
        await keep_notice(db, record, new.webhook)
    if new.key is not None:
        row = {"project_id": record.project_id, "import_id": record.id, **msgspec.structs.asdict(new.key)}
        await db.insert("idempotency_keys", row)
    written = to_import(await one(db, record.id, (scope.EVERYTHING, {})))
    await note(db, "submitted", written, {})
    return written


async def begin(
    db: Session, new: NewImport, max_queued: int, worker: Worker, now: datetime
) -> tuple[Import, Claimed | None]:
    """Write a new import, and claim it."""
    written = await _insert(db, new, max_queued)
    is_new = written.id == new.record.id
    return written, await claim(db, written.id, worker, now) if is_new else None


async def _check_queue(db: Session, max_queued: int) -> None:
    """Refuse one import too many; near the bound, those who submit wait for each other.

    Raises:
        QueueFull: As many imports wait as may.
    """
    waiting = "SELECT count(*) AS n FROM imports WHERE ended_at IS NULL AND state = 'queued'"
    [row] = await db.select(waiting)
    if row["n"] + MOST_WRITERS >= max_queued:
        await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('queue', 0))")
        [row] = await db.select(waiting)
    if row["n"] >= max_queued:
        raise QueueFull(scope="the service's queue", limit=max_queued)


async def _made_before(db: Session, project_id: str, key: IdempotencyKey) -> Import | None:
    name = f"key {project_id} {key.key}"
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [name])
    found = await db.select(MADE_BEFORE, [project_id, key.key])
    for row in found:
        if row["fingerprint"] != key.fingerprint:
            raise IdempotencyMismatch
        return to_import(await one(db, row["import_id"], (scope.EVERYTHING, {})))
    return None


async def requeue(db: Session, import_id: str, now: datetime) -> int:
    """Put an import back into the queue under a new claim; 0 when it has ended."""
    record = to_import(await one(db, import_id, (scope.EVERYTHING, {}), lock="FOR UPDATE"))
    if record.state.is_final:
        return 0
    claim = record.claim + 1
    await replace_row(db, record, record.moved(Event.REQUEUE, now, phase=None, claim=claim))
    await db.tell_queued([import_id])
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
