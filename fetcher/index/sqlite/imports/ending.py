"""Writes of a running import: how far it is, and its end."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlite_utils.db import Database

from fetcher.errors import Conflict
from fetcher.index import scope
from fetcher.index.import_rows import FORGET, STATE_OF_OURS
from fetcher.index.rows import import_update, progress_columns, to_import, to_json, to_text
from fetcher.index.sqlite.bookkeeping.addresses import known_as
from fetcher.index.sqlite.bookkeeping.audit import note, note_all
from fetcher.index.sqlite.image_records.images import keep_blob
from fetcher.index.sqlite.imports.images import (
    describe,
    give_blob,
    keep_story,
    release_image,
    release_images,
)
from fetcher.index.sqlite.imports.reading import one
from fetcher.index.sqlite.imports.secrets import drop_all_secrets, drop_secrets
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.trail import line_of
from fetcher.index.values import Contents, Signed
from fetcher.lifecycle import Event, IllegalMove, State
from fetcher.model import Actor, Blob, Image, Import, Verdict, algorithm_of


def update(db: Database, record: Import) -> bool:
    """Write what changes while an import runs; False when it lost its claim or has ended.

    Raises:
        IllegalMove: The row is in a state that the record's state cannot follow.
    """
    columns = progress_columns(record)
    sql = import_update(record.state, tuple(columns))
    if db.conn.execute(sql, {**columns, "id": record.id, "claim": record.claim}).rowcount == 1:
        return True
    for row in select(db, STATE_OF_OURS, [record.id, record.claim]):
        raise IllegalMove(State(row["state"]), record.state)
    return False


def announce(db: Database, record: Import) -> list[str]:
    """Write which blob is about to appear; return the addresses that its bytes have already."""
    update(db, record)
    return known_as(db, record.digests)


def replace_row(db: Database, before: Import, after: Import) -> None:
    """Write a row's next state together with its next claim, so that no run of the earlier one counts."""
    db.execute("UPDATE imports SET claim = ? WHERE id = ?", [after.claim, before.id])
    update(db, after)


def activate(
    db: Database,
    record: Import,
    blob: Blob,
    image: Image | Contents,
    story: tuple[dict[str, Any], Signed | None],
) -> bool:
    """Make the image visible with its bytes, and end the import."""
    if not update(db, record):
        return False
    keep_blob(db, blob, to_text(record.updated_at) or "")
    give_blob(db, image, blob)
    describe(db, record)
    keep_story(db, record, *story)
    drop_secrets(db, record.id)
    note(db, "activated", record, {algorithm_of(blob.address): blob.address, "size": blob.size})
    return True


def deliver(db: Database, record: Import, provenance: dict[str, Any]) -> bool:
    """End an import whose image is at the target and not here."""
    if not update(db, record):
        return False
    insert(db, "deliveries", {"import_id": record.id, "document": to_json(provenance)})
    release_image(db, record)
    drop_secrets(db, record.id)
    detail = {"target": record.delivery.url, "image_id": record.delivery.image_id} if record.delivery else {}
    note(db, "delivered", record, detail)
    return True


def end(db: Database, record: Import, detail: dict[str, Any]) -> bool:
    """End an import without an image; False when it lost its claim or has ended."""
    return bool(end_all(db, [(record, detail)]))


def end_all(db: Database, ends: Iterable[tuple[Import, dict[str, Any]]]) -> int:
    """End imports without an image; returns of how many the claim still held."""
    ended = [(record, detail) for record, detail in ends if update(db, record)]
    release_images(db, [record for record, _detail in ended])
    drop_all_secrets(db, [record.id for record, _detail in ended])
    note_all(db, (line_of(record.state.value, record, detail) for record, detail in ended))
    return len(ended)


def cancel(db: Database, import_id: str, actor: Actor, verdict: Verdict, now: datetime) -> Import:
    """End an import because its owner says so, under a claim that no run holds."""
    before = to_import(one(db, import_id, scope.own_imports(actor)))
    if before.state is State.CANCELLED:
        return before
    if before.state.is_final:
        raise Conflict(reason=f"the import has already {before.state.value}; what it made can be deleted")
    after = before.ended(Event.CANCEL, verdict, now, claim=before.claim + 1)
    replace_row(db, before, after)
    release_image(db, after)
    drop_secrets(db, import_id)
    note(db, "cancelled", after, {"by": actor.user_id})
    return after


def forget(db: Database, before: datetime, most: int) -> int:
    """Drop imports that ended before a moment, except those whose notification is not delivered yet."""
    return db.execute(FORGET, [to_text(before), most]).rowcount
