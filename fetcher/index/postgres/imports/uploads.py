"""Records of bodies that are sent to us, and of bytes staged for an import."""

from typing import Any

import msgspec

from fetcher.errors import Conflict
from fetcher.index.postgres.bookkeeping.audit import note
from fetcher.index.postgres.image_records.images import keep_blob
from fetcher.index.postgres.imports.ending import update
from fetcher.index.postgres.imports.images import give_blob, keep_story, take_image
from fetcher.index.postgres.imports.leases import hold
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.rows import import_row, to_blob, to_json, to_text
from fetcher.index.values import Stage, Worker
from fetcher.model import Blob, FormatVerdict, Image, Import, algorithm_of


class UploadRecords:
    """Domain verbs on uploads; each is one transaction."""

    def __init__(self, connection: Connection, worker: Worker) -> None:
        self._connection = connection
        self._worker = worker

    async def begin(self, record: Import, status: str) -> None:
        await self._connection.write(_begin, self._worker, record, status)

    async def stage(self, record: Import, blob: Blob) -> bool:
        return await self._connection.write(_stage, record, blob)

    async def staged(self, image_id: str) -> Stage | None:
        return await self._connection.read(_staged, image_id)

    async def activate(self, record: Import, stage: Stage, image: Image, provenance: dict[str, Any]) -> None:
        await self._connection.write(_activate, record, stage, image, provenance)


async def _begin(db: Session, worker: Worker, record: Import, status: str) -> None:
    await take_image(db, record, status)
    await db.insert("imports", import_row(record, ""))
    await hold(db, worker, record.id)
    await note(db, "submitted", record, {})


async def _stage(db: Session, record: Import, blob: Blob) -> bool:
    if not await update(db, record):
        return False
    await keep_blob(db, blob, to_text(record.updated_at) or "")
    row = {"image_id": record.image_id, "sha256": blob.address, "format": to_json(record.format)}
    await db.insert("image_stages", row)
    await note(db, "staged", record, {algorithm_of(blob.address): blob.address, "size": blob.size})
    return True


async def _staged(db: Session, image_id: str) -> Stage | None:
    sql = "SELECT blobs.*, image_stages.format FROM image_stages JOIN blobs USING (sha256) WHERE image_id = ?"
    for row in await db.select(sql, [image_id]):
        return Stage(
            blob=to_blob(row),
            format=msgspec.json.decode(row["format"] or "null", type=FormatVerdict | None),
        )
    return None


async def _activate(
    db: Session, record: Import, stage: Stage, image: Image, provenance: dict[str, Any]
) -> None:
    sql = "DELETE FROM image_stages WHERE image_id = ? AND sha256 = ?"
    if await db.execute(sql, [image.id, stage.blob.address]) != 1:
        raise Conflict(reason="no bytes are staged for the image")
    await give_blob(db, image, stage.blob)
    await db.insert("imports", import_row(record, ""))
    await keep_story(db, record, provenance)
    detail = {algorithm_of(stage.blob.address): stage.blob.address, "size": stage.blob.size}
    await note(db, "activated", record, detail)
