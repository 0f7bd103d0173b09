"""The beginning of imports: submission, claim, the way back into the queue."""

from datetime import datetime
from typing import Any

import msgspec

from fetcher.errors import IdempotencyMismatch, QueueFull
from fetcher.index import scope
from fetcher.index.import_rows import MADE_BEFORE, secrets_row
from fetcher.index.postgres.bookkeeping.audit import note
from fetcher.index.postgres.bookkeeping.usage import bytes_of
from fetcher.index.postgres.imports.ending import replace_row
from fetcher.index.postgres.imports.images import take_image
from fetcher.index.postgres.imports.leases import UNTIL, holding
from fetcher.index.postgres.imports.reading import one
from fetcher.index.postgres.imports.secrets import load_secrets
from fetcher.index.postgres.outgoing.webhook_targets import notice_row
from fetcher.index.postgres.session import Session
from fetcher.index.rows import image_row, import_row, to_import, to_text
from fetcher.index.values import Claimed, IdempotencyKey, NewImport, Worker
from fetcher.lifecycle import Event, State, next_state
from fetcher.model import Import

WAITING = "SELECT count(*) FROM imports WHERE ended_at IS NULL AND state = 'queued'"
TAGS = "new_tags AS (INSERT INTO image_tags (image_id, tag) SELECT :image, unnest(:tags::text[]))"
PROPERTIES = """new_properties AS (INSERT INTO image_properties (image_id, name, value)
    SELECT :image, * FROM unnest(:names::text[], :values::text[]))"""
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
    if not record.owns_image:
        await take_image(db, record, "importing")
    [row] = await db.select(*_all_rows(new))
    await _check_queue(db, row.pop("waiting"), max_queued)
    written = to_import(row)
    await note(db, "submitted", written, {})
    return written


def _all_rows(new: NewImport) -> tuple[str, dict[str, Any]]:
    """Return the statement that writes all rows of a new import and reads it back, and its parameters."""
    record, image = new.record, new.image
    parameters: dict[str, Any] = {}
    tables = {
        "imports": import_row(record, new.shown_url),
        "import_secrets": secrets_row(record.id, new.secrets),
    }
    if record.owns_image:
        tables["images"] = image_row(image)
    if new.webhook is not None:
        tables["notices"] = notice_row(record, new.webhook)
    if new.key is not None:
        known = {"project_id": record.project_id, "import_id": record.id}
        tables["idempotency_keys"] = {**known, **msgspec.structs.asdict(new.key)}
    parts = []
    for table, row in tables.items():
        names = {f"{table}_{column}": value for column, value in row.items()}
        parameters |= names
        columns, marks = ", ".join(row), ", ".join(f":{name}" for name in names)
        sql = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING *"  # noqa: S608 - our own names
        parts.append(f"new_{table} AS ({sql})")
    if record.owns_image and image.tags:
        parts.append(TAGS)
        parameters |= {"image": image.id, "tags": sorted(set(image.tags))}
    if record.owns_image and image.properties:
        parts.append(PROPERTIES)
        parameters |= {"image": image.id, "names": list(image.properties)}
        parameters["values"] = list(image.properties.values())
    sql = f"WITH {', '.join(parts)} SELECT *, ({WAITING}) AS waiting FROM new_imports"  # noqa: S608 - ours
    return sql, parameters


async def begin(
    db: Session, new: NewImport, max_queued: int, worker: Worker, now: datetime
) -> tuple[Import, Claimed | None]:
    """Write a new import, and claim it."""
    written = await _insert(db, new, max_queued)
    is_new = written.id == new.record.id
    return written, await claim(db, written.id, worker, now) if is_new else None


async def _check_queue(db: Session, waiting: int, max_queued: int) -> None:
    """Refuse one import too many; near the bound, those who submit wait for each other.

    Args:
        waiting: Imports that waited when this transaction wrote its own.

    Raises:
        QueueFull: As many imports wait as may.
    """
    if waiting + MOST_WRITERS >= max_queued:
        await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('queue', 0))")
        [row] = await db.select(f"SELECT ({WAITING}) - 1 AS waiting")
        waiting = row["waiting"]
    if waiting >= max_queued:
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
