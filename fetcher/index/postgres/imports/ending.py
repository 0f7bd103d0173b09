"""Writes of a running import: how far it is, and its end."""

from datetime import datetime
from typing import Any

from fetcher.errors import Conflict
from fetcher.index import scope
from fetcher.index.import_rows import FORGET, STATE_OF_OURS
from fetcher.index.postgres.bookkeeping.addresses import known_as
from fetcher.index.postgres.bookkeeping.audit import note
from fetcher.index.postgres.image_records.images import keep_blob
from fetcher.index.postgres.imports.images import (
    add_properties,
    give_blob,
    keep_story,
    release_image,
    suggest,
)
from fetcher.index.postgres.imports.reading import one
from fetcher.index.postgres.imports.secrets import drop_secrets
from fetcher.index.postgres.session import Session
from fetcher.index.rows import import_update, progress_columns, to_import, to_json, to_text
from fetcher.index.values import Contents, Signed
from fetcher.lifecycle import Event, IllegalMove, State
from fetcher.model import Actor, Blob, Image, Import, Verdict, algorithm_of

LENGTH_VERIFIED = "length_verified"


async def update(db: Session, record: Import) -> bool:
    """Write what changes while an import runs; False when it lost its claim or has ended.

    Raises:
        IllegalMove: The row is in a state that the record's state cannot follow.
    """
    columns = progress_columns(record)
    sql = import_update(record.state, tuple(columns))
    if await db.execute(sql, {**columns, "id": record.id, "claim": record.claim}) == 1:
        return True
    for row in await db.select(STATE_OF_OURS, [record.id, record.claim]):
        raise IllegalMove(State(row["state"]), record.state)
    return False


async def announce(db: Session, record: Import) -> list[str]:
    """Write which blob is about to appear; return the addresses that its bytes have already."""
    await update(db, record)
    return await known_as(db, record.digests)


async def replace_row(db: Session, before: Import, after: Import) -> None:
    """Write a row's next state together with its next claim, so that no run of the earlier one counts."""
    await db.execute("UPDATE imports SET claim = ? WHERE id = ?", [after.claim, before.id])
    await update(db, after)


async def activate(
    db: Session,
    record: Import,
    blob: Blob,
    image: Image | Contents,
    story: tuple[dict[str, Any], Signed | None],
) -> bool:
    """Make the image visible with its bytes, and end the import."""
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
    await note(db, "activated", record, {algorithm_of(blob.address): blob.address, "size": blob.size})
    return True


async def deliver(db: Session, record: Import, provenance: dict[str, Any]) -> bool:
    """End an import whose image is at the target and not here."""
    if not await update(db, record):
        return False
    await db.insert("deliveries", {"import_id": record.id, "document": to_json(provenance)})
    await release_image(db, record)
    await drop_secrets(db, record.id)
    detail = {"target": record.delivery.url, "image_id": record.delivery.image_id} if record.delivery else {}
    await note(db, "delivered", record, detail)
    return True


async def end(db: Session, record: Import, detail: dict[str, Any]) -> bool:
    """End an import without an image; False when it lost its claim or has ended."""
    if not await update(db, record):
        return False
    await release_image(db, record)
    await drop_secrets(db, record.id)
    await note(db, record.state.value, record, detail)
    return True


async def cancel(db: Session, import_id: str, actor: Actor, verdict: Verdict, now: datetime) -> Import:
    """End an import because its owner says so, under a claim that no run holds."""
    before = to_import(await one(db, import_id, scope.own_imports(actor), lock="FOR UPDATE"))
    if before.state is State.CANCELLED:
        return before
    if before.state.is_final:
        raise Conflict(reason=f"the import has already {before.state.value}; what it made can be deleted")
    after = before.ended(Event.CANCEL, verdict, now, claim=before.claim + 1)
    await replace_row(db, before, after)
    await release_image(db, after)
    await drop_secrets(db, import_id)
    await note(db, "cancelled", after, {"by": actor.user_id})
    return after


async def forget(db: Session, before: datetime, most: int) -> int:
    """Drop imports that ended before a moment, except those whose notification is not delivered yet."""
    return await db.execute(FORGET, [to_text(before), most])
