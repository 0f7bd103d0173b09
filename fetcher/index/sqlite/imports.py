"""Records of imports, from submission to verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import Conflict, IdempotencyMismatch, QueueFull
from fetcher.index import scope
from fetcher.index.rows import (
    import_row,
    import_update,
    progress_columns,
    to_import,
    to_json,
    to_text,
)
from fetcher.index.sqlite.audit import note
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.images import insert_image, keep_blob
from fetcher.index.sqlite.import_images import (
    add_properties,
    give_blob,
    keep_story,
    release_image,
    release_images,
    suggest,
    take_image,
)
from fetcher.index.sqlite.import_pages import one, page
from fetcher.index.sqlite.leases import UNTIL, holding, renew
from fetcher.index.sqlite.queue_count import queued
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.sqlite.secrets import drop_secrets, keep_secrets, load_secrets
from fetcher.index.sqlite.truths import HIDDEN_CODES, TRUE_ATTEMPT_CODE, TRUE_CODE, read_truths
from fetcher.index.sqlite.usage import bytes_of
from fetcher.index.sqlite.webhook_targets import keep_notice
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
from fetcher.lifecycle import Event, IllegalMove, State, next_state
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


def _submit(db: Database, new: NewImport, max_queued: int) -> Import:
    record = new.record
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
    written = msgspec.structs.replace(record, submission=shown)
    note(db, "submitted", written, {})
    return written


def _begin(
    db: Database, new: NewImport, max_queued: int, worker: Worker, now: datetime
) -> tuple[Import, Claimed | None]:
    written = _submit(db, new, max_queued)
    is_new = written.id == new.record.id
    return written, _claim(db, written.id, worker, now) if is_new else None


def _made_before(db: Database, project_id: str, key: IdempotencyKey) -> Import | None:
    found = select(
        db, "SELECT * FROM idempotency_keys WHERE project_id = ? AND key = ?", [project_id, key.key]
    )
    for row in found:
        if row["fingerprint"] != key.fingerprint:
            raise IdempotencyMismatch
        return to_import(one(db, row["import_id"], (scope.EVERYTHING, {})))
    return None


def _find(db: Database, import_id: str, condition: scope.Condition) -> Import:
    return to_import(one(db, import_id, condition))


def requeue(db: Database, import_id: str, now: datetime) -> int:
    """Put an import back into the queue under a new claim; 0 when it has ended."""
    record = to_import(one(db, import_id, (scope.EVERYTHING, {})))
    if record.state.is_final:
        return 0
    claim = record.claim + 1
    _replace(db, record, record.moved(Event.REQUEUE, now, phase=None, claim=claim))
    return claim


def _claim(db: Database, import_id: str, worker: Worker, now: datetime) -> Claimed | None:
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


def update(db: Database, record: Import) -> bool:
    """Write what changes while an import runs; False when it lost its claim or has ended.

    Raises:
        IllegalMove: The row is in a state that the record's state cannot follow.
    """
    columns = progress_columns(record)
    sql = import_update(record.state, tuple(columns))
    if db.execute(sql, {**columns, "id": record.id, "claim": record.claim}).rowcount == 1:
        return True
    ours = "SELECT state FROM imports WHERE id = ? AND claim = ? AND ended_at IS NULL"
    for row in select(db, ours, [record.id, record.claim]):
        raise IllegalMove(State(row["state"]), record.state)
    return False


def _replace(db: Database, before: Import, after: Import) -> None:
    """Write a row's next state together with its next claim, so that no run of the earlier one counts."""
    db.execute("UPDATE imports SET claim = ? WHERE id = ?", [after.claim, before.id])
    update(db, after)


def _record(db: Database, record: Import) -> bool:
    return update(db, record)


def _activate(
    db: Database,
    record: Import,
    blob: Blob,
    image: Image | Contents,
    story: tuple[dict[str, Any], Signed | None],
) -> bool:
    if not update(db, record):
        return False
    keep_blob(db, blob, to_text(record.updated_at) or "")
    give_blob(db, image, blob)
    add_properties(db, record.image_id, record.submission.copied_properties)
    suggest(db, record)
    if record.length_verified is False:
        add_properties(db, record.image_id, {LENGTH_VERIFIED: "false"})
    keep_story(db, record, *story)
    drop_secrets(db, record.id)
    note(db, "activated", record, {"sha256": blob.sha256, "size": blob.size})
    return True


def _deliver(db: Database, record: Import, provenance: dict[str, Any]) -> bool:
    if not update(db, record):
        return False
    insert(db, "deliveries", {"import_id": record.id, "document": to_json(provenance)})
    release_image(db, record)
    drop_secrets(db, record.id)
    told = {"target": record.delivery.url, "image_id": record.delivery.image_id} if record.delivery else {}
    note(db, "delivered", record, told)
    return True


def end(db: Database, record: Import, detail: dict[str, Any]) -> bool:
    """End an import without an image; False when it lost its claim or has ended."""
    return bool(end_all(db, [(record, detail)]))


def end_all(db: Database, ends: Iterable[tuple[Import, dict[str, Any]]]) -> int:
    """End imports without an image; returns of how many the claim still held."""
    ended = [(record, detail) for record, detail in ends if update(db, record)]
    release_images(db, [record for record, _detail in ended])
    for record, detail in ended:
        drop_secrets(db, record.id)
        note(db, record.state.value, record, detail)
    return len(ended)


def _cancel(db: Database, import_id: str, actor: Actor, verdict: Verdict, now: datetime) -> Import:
    before = to_import(one(db, import_id, scope.own_imports(actor)))
    if before.state is State.CANCELLED:
        return before
    if before.state.is_final:
        raise Conflict(reason=f"the import has already {before.state.value}; what it made can be deleted")
    after = before.ended(Event.CANCEL, verdict, now, claim=before.claim + 1)
    _replace(db, before, after)
    release_image(db, after)
    drop_secrets(db, import_id)
    note(db, "cancelled", after, {"by": actor.user_id})
    return after


def _provenance(db: Database, import_id: str, condition: scope.Condition) -> dict[str, Any] | None:
    one(db, import_id, condition)
    sql = """SELECT document FROM provenance WHERE import_id = :id
             UNION ALL SELECT document FROM deliveries WHERE import_id = :id"""
    for row in select(db, sql, {"id": import_id}):
        return msgspec.json.decode(row["document"], type=dict[str, Any])
    return None


def _forget(db: Database, before: datetime, most: int) -> int:
    sql = """DELETE FROM imports WHERE id IN
             (SELECT id FROM imports WHERE ended_at IS NOT NULL AND ended_at < ?
              AND NOT EXISTS (SELECT 1 FROM notices WHERE import_id = imports.id)
              LIMIT ?)"""
    return db.execute(sql, [to_text(before), most]).rowcount


def _counts(db: Database) -> dict[str, int]:
    rows = select(db, "SELECT state, count(*) AS n FROM imports WHERE ended_at IS NULL GROUP BY state")
    return {row["state"]: row["n"] for row in rows}
