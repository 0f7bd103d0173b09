"""Records of imports, from submission to verdict."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from fetcher.errors import Conflict, IdempotencyMismatch, QueueFull
from fetcher.index import scope
from fetcher.index.postgres.audit import note
from fetcher.index.postgres.images import insert_image, keep_blob
from fetcher.index.postgres.import_images import (
    add_properties,
    give_blob,
    keep_story,
    release_image,
    suggest,
    take_image,
)
from fetcher.index.postgres.import_pages import one, page
from fetcher.index.postgres.leases import UNTIL, holding, renew
from fetcher.index.postgres.secrets import drop_secrets, keep_secrets, load_secrets
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.postgres.truths import HIDDEN_CODES, TRUE_ATTEMPT_CODE, TRUE_CODE, read_truths
from fetcher.index.postgres.usage import bytes_of
from fetcher.index.postgres.webhook_targets import keep_notice
from fetcher.index.rows import import_row, progress_columns, to_import, to_json, to_text
from fetcher.index.values import (
    ANSWER_BYTES,
    ATTEMPT_CODE,
    Claimed,
    Contents,
    IdempotencyKey,
    NewImport,
    Rows,
    Secrets,
    Signed,
    Worker,
)
from fetcher.lifecycle import Event, IllegalMove, State, next_state, origins_of
from fetcher.model import Actor, Blob, Image, Import, Verdict


class ImportRecords:
    """Domain verbs on imports; each is one transaction.

    Args:
        worker: Holds what it claims.
        wake: Called whenever one has ended that somebody is to be told of.
    """

    def __init__(self, connection: Connection, worker: Worker, wake: Callable[[], None]) -> None:
        self._connection = connection
        self._worker = worker
        self._wake = wake

    async def submit(self, new: NewImport, *, max_queued: int) -> Import:
        return await self._connection.write(_submit, new, max_queued)

    async def begin(self, new: NewImport, *, max_queued: int, now: datetime) -> tuple[Import, Claimed | None]:
        return await self._connection.write(_begin, new, max_queued, self._worker, now)

    async def find(self, import_id: str, actor: Actor) -> Import:
        return await self._connection.read(_find, import_id, scope.own_imports(actor))

    async def page(
        self,
        actor: Actor,
        filters: dict[str, str],
        *,
        limit: int,
        marker: str | None = None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Rows[Import]:
        if actor.is_admin and filters.get("code") in HIDDEN_CODES:
            filters = {**filters, "code": "source-unreachable", TRUE_CODE: filters["code"]}
        if actor.is_admin and ATTEMPT_CODE in filters:
            filters = {**filters, TRUE_ATTEMPT_CODE: filters[ATTEMPT_CODE]}
        return await self._connection.read(
            page, scope.own_imports(actor), filters, (limit, max_bytes), marker
        )

    async def truths(self, actor: Actor, import_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        if not actor.is_admin or not import_ids:
            return {}
        return await self._connection.read(read_truths, list(import_ids))

    async def requeue(self, import_id: str, now: datetime) -> int:
        return await self._connection.write(requeue, import_id, now)

    async def claim(self, import_id: str, now: datetime) -> Claimed | None:
        return await self._connection.write(_claim, import_id, self._worker, now)

    async def renew(self, claims: Mapping[str, int]) -> list[str]:
        return await self._connection.write(renew, self._worker, claims)

    async def record(self, record: Import) -> bool:
        return await self._connection.write(_record, record)

    async def activate(
        self,
        record: Import,
        blob: Blob,
        image: Image | Contents,
        provenance: dict[str, Any],
        signed: Signed | None = None,
    ) -> bool:
        story = (provenance, signed)
        return self._tell(await self._connection.write(_activate, record, blob, image, story), record)

    async def secrets(self, import_id: str) -> Secrets:
        return await self._connection.read(load_secrets, import_id)

    async def deliver(self, record: Import, provenance: dict[str, Any]) -> bool:
        return self._tell(await self._connection.write(_deliver, record, provenance), record)

    async def end(self, record: Import, detail: dict[str, Any]) -> bool:
        return self._tell(await self._connection.write(end, record, detail), record)

    async def cancel(self, import_id: str, actor: Actor, verdict: Verdict, now: datetime) -> Import:
        record = await self._connection.write(_cancel, import_id, actor, verdict, now)
        self._tell(True, record)
        return record

    async def provenance(self, import_id: str, actor: Actor) -> dict[str, Any] | None:
        return await self._connection.read(_provenance, import_id, scope.own_imports(actor))

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        return await self._connection.write(_forget, before, most)

    async def counts(self) -> dict[str, int]:
        return await self._connection.read(_counts)

    def _tell(self, is_ended: bool, record: Import) -> bool:
        if is_ended and record.notice is not None:
            self._wake()
        return is_ended


LENGTH_VERIFIED = "length_verified"
MOST_WRITERS = 1_000  # At the same moment, over all hosts: more connections no database is set up for.


async def _submit(db: Session, new: NewImport, max_queued: int) -> Import:
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


async def _begin(
    db: Session, new: NewImport, max_queued: int, worker: Worker, now: datetime
) -> tuple[Import, Claimed | None]:
    written = await _insert(db, new, max_queued)
    is_new = written.id == new.record.id
    return written, await _claim(db, written.id, worker, now) if is_new else None


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
    found = await db.select(
        "SELECT * FROM idempotency_keys WHERE project_id = ? AND key = ?", [project_id, key.key]
    )
    for row in found:
        if row["fingerprint"] != key.fingerprint:
            raise IdempotencyMismatch
        return to_import(await one(db, row["import_id"], (scope.EVERYTHING, {})))
    return None


async def _find(db: Session, import_id: str, condition: scope.Condition) -> Import:
    return to_import(await one(db, import_id, condition))


async def requeue(db: Session, import_id: str, now: datetime) -> int:
    """Put an import back into the queue under a new claim; 0 when it has ended."""
    record = to_import(await one(db, import_id, (scope.EVERYTHING, {}), lock="FOR UPDATE"))
    if record.state.is_final:
        return 0
    claim = record.claim + 1
    await _replace(db, record, record.moved(Event.REQUEUE, now, phase=None, claim=claim))
    await db.tell_queued([import_id])
    return claim


async def _claim(db: Session, import_id: str, worker: Worker, now: datetime) -> Claimed | None:
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


async def update(db: Session, record: Import) -> bool:
    """Write what changes while an import runs; False when it lost its claim or has ended.

    Raises:
        IllegalMove: The row is in a state that the record's state cannot follow.
    """
    columns = progress_columns(record)
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    origins = ", ".join(f"'{state}'" for state in origins_of(record.state))
    sql = f"""UPDATE imports SET {changes}
              WHERE id = :id AND claim = :claim AND ended_at IS NULL AND state IN ({origins})"""  # noqa: S608 - our columns and states
    if await db.execute(sql, {**columns, "id": record.id, "claim": record.claim}) == 1:
        return True
    ours = "SELECT state FROM imports WHERE id = ? AND claim = ? AND ended_at IS NULL"
    for row in await db.select(ours, [record.id, record.claim]):
        raise IllegalMove(State(row["state"]), record.state)
    return False


async def _replace(db: Session, before: Import, after: Import) -> None:
    """Write a row's next state together with its next claim, so that no run of the earlier one counts."""
    await db.execute("UPDATE imports SET claim = ? WHERE id = ?", [after.claim, before.id])
    await update(db, after)


async def _record(db: Session, record: Import) -> bool:
    return await update(db, record)


async def _activate(
    db: Session,
    record: Import,
    blob: Blob,
    image: Image | Contents,
    story: tuple[dict[str, Any], Signed | None],
) -> bool:
    if not await update(db, record):
        return False
    await keep_blob(db, blob, to_text(record.updated_at) or "")
    await give_blob(db, image, blob)
    await add_properties(db, record.image_id, record.submission.copied_properties)
    await suggest(db, record)
    if record.length_verified is False:
        await add_properties(db, record.image_id, {LENGTH_VERIFIED: "false"})
    await keep_story(db, record, *story)
    await drop_secrets(db, record.id)
    await note(db, "activated", record, {"sha256": blob.sha256, "size": blob.size})
    return True


async def _deliver(db: Session, record: Import, provenance: dict[str, Any]) -> bool:
    if not await update(db, record):
        return False
    await db.insert("deliveries", {"import_id": record.id, "document": to_json(provenance)})
    await release_image(db, record)
    await drop_secrets(db, record.id)
    told = {"target": record.delivery.url, "image_id": record.delivery.image_id} if record.delivery else {}
    await note(db, "delivered", record, told)
    return True


async def end(db: Session, record: Import, detail: dict[str, Any]) -> bool:
    """End an import without an image; False when it lost its claim or has ended."""
    if not await update(db, record):
        return False
    await release_image(db, record)
    await drop_secrets(db, record.id)
    await note(db, record.state.value, record, detail)
    return True


async def _cancel(db: Session, import_id: str, actor: Actor, verdict: Verdict, now: datetime) -> Import:
    before = to_import(await one(db, import_id, scope.own_imports(actor), lock="FOR UPDATE"))
    if before.state is State.CANCELLED:
        return before
    if before.state.is_final:
        raise Conflict(reason=f"the import has already {before.state.value}; what it made can be deleted")
    after = before.ended(Event.CANCEL, verdict, now, claim=before.claim + 1)
    await _replace(db, before, after)
    await release_image(db, after)
    await drop_secrets(db, import_id)
    await note(db, "cancelled", after, {"by": actor.user_id})
    return after


async def _provenance(db: Session, import_id: str, condition: scope.Condition) -> dict[str, Any] | None:
    await one(db, import_id, condition)
    sql = """SELECT document FROM provenance WHERE import_id = :id
             UNION ALL SELECT document FROM deliveries WHERE import_id = :id"""
    for row in await db.select(sql, {"id": import_id}):
        return msgspec.json.decode(row["document"], type=dict[str, Any])
    return None


async def _forget(db: Session, before: datetime, most: int) -> int:
    sql = """DELETE FROM imports WHERE id IN
             (SELECT id FROM imports WHERE ended_at IS NOT NULL AND ended_at < ?
              AND NOT EXISTS (SELECT 1 FROM notices WHERE import_id = imports.id)
              LIMIT ?)"""
    return await db.execute(sql, [to_text(before), most])


async def _counts(db: Session) -> dict[str, int]:
    rows = await db.select("SELECT state, count(*) AS n FROM imports WHERE ended_at IS NULL GROUP BY state")
    return {row["state"]: row["n"] for row in rows}
