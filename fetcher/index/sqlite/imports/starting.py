"""The beginning of imports: submission, claim, the way back into the queue."""

from datetime import datetime

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import IdempotencyMismatch, QueueFull
from fetcher.index import scope
from fetcher.index.import_rows import MADE_BEFORE
from fetcher.index.rows import import_row, to_import, to_text
from fetcher.index.sqlite.bookkeeping.audit import note
from fetcher.index.sqlite.bookkeeping.usage import bytes_of
from fetcher.index.sqlite.image_records.images import insert_image
from fetcher.index.sqlite.imports.ending import replace_row
from fetcher.index.sqlite.imports.images import take_image
from fetcher.index.sqlite.imports.leases import UNTIL, hold, holding
from fetcher.index.sqlite.imports.queue_count import queued
from fetcher.index.sqlite.imports.reading import one
from fetcher.index.sqlite.imports.secrets import keep_secrets, load_secrets
from fetcher.index.sqlite.outgoing.webhook_targets import keep_notice
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import Claimed, IdempotencyKey, NewImport, Worker
from fetcher.lifecycle import Event, State, next_state
from fetcher.model import Attempt, Import


def submit(db: Database, new: NewImport, max_queued: int) -> Import:
    """Write a new import and its image, or find the one that the same key made before."""
    return _write(db, new, new.record, max_queued)


def _write(db: Database, new: NewImport, record: Import, max_queued: int) -> Import:
    """Write a new import as it is from now on; return it as it was submitted, or the one that was there."""
    if new.key is not None and (before := _made_before(db, record.project_id, new.key)) is not None:
        return before
    if queued(db) >= max_queued:
        raise QueueFull(scope="the service's queue", limit=max_queued)
    if record.owns_image:
        insert_image(db, new.image)
    else:
        take_image(db, record, "importing")
    insert(db, "imports", import_row(record, new.shown_url))
    keep_secrets(db, record.id, new.secrets)
    if new.webhook is not None:
        keep_notice(db, record, new.webhook)
    if new.key is not None:
        row = {"project_id": record.project_id, "import_id": record.id, **msgspec.structs.asdict(new.key)}
        insert(db, "idempotency_keys", row)
    shown = msgspec.structs.replace(record.submission, url=new.shown_url)
    written = msgspec.structs.replace(new.record, submission=shown)
    note(db, "submitted", written, {})
    return written


def begin(
    db: Database, new: NewImport, max_queued: int, worker: Worker, now: datetime
) -> tuple[Import, Claimed | None]:
    """Write a new import, and claim it."""
    attempts = (Attempt(number=1, started_at=now, url=new.shown_url),)
    claim = new.record.claim + 1
    record = new.record.moved(Event.CLAIM, now, claim=claim, started_at=now, attempts=attempts)
    written = _write(db, new, record, max_queued)
    if written.id != record.id:
        return written, None
    hold(db, worker, record.id)
    claimed = msgspec.structs.replace(record, submission=written.submission)
    # What this very write has put down need not be read back.
    return written, Claimed(claimed, new.secrets, bytes_of(db, record.project_id))


def _made_before(db: Database, project_id: str, key: IdempotencyKey) -> Import | None:
    found = select(db, MADE_BEFORE, [project_id, key.key])
    for row in found:
        if row["fingerprint"] != key.fingerprint:
            raise IdempotencyMismatch
        return to_import(one(db, row["import_id"], (scope.EVERYTHING, {})))
    return None


def requeue(db: Database, import_id: str, now: datetime) -> int:
    """Put an import back into the queue under a new claim; 0 when it has ended."""
    record = to_import(one(db, import_id, (scope.EVERYTHING, {})))
    if record.state.is_final:
        return 0
    claim = record.claim + 1
    replace_row(db, record, record.moved(Event.REQUEUE, now, phase=None, claim=claim))
    return claim


def claim(db: Database, import_id: str, worker: Worker, now: datetime) -> Claimed | None:
    """Take a queued import for a run, under a claim of its own; its first attempt begins with the claim."""
    sql = f"""UPDATE imports SET state = :state, claim = claim + 1, updated_at = :now,
                     started_at = coalesce(started_at, :now), worker = :worker, lease_until = {UNTIL},
                     attempts = CASE WHEN attempts <> '[]' THEN attempts
                         ELSE json_array(json_object('number', 1, 'started_at', :now, 'url', url)) END
              WHERE id = :id AND state = :queued RETURNING *"""  # noqa: S608 - our expression
    running = next_state(State.QUEUED, Event.CLAIM)
    states = {"state": running, "queued": State.QUEUED}
    arguments = {**holding(worker), **states, "now": to_text(now), "id": import_id}
    for row in list(select(db, sql, arguments)):
        record = to_import(row)
        return Claimed(record, load_secrets(db, import_id), bytes_of(db, record.project_id))
    return None
