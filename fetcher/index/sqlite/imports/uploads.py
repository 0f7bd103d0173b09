"""Records of bodies that are sent to us, and of bytes staged for an import."""

from typing import Any

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import Conflict
from fetcher.index.rows import import_row, to_blob, to_json, to_text
from fetcher.index.sqlite.bookkeeping.audit import note
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.image_records.images import keep_blob
from fetcher.index.sqlite.imports.ending import update
from fetcher.index.sqlite.imports.images import give_blob, keep_story, take_image
from fetcher.index.sqlite.imports.leases import hold
from fetcher.index.sqlite.rows import insert, select
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


def _begin(db: Database, worker: Worker, record: Import, status: str) -> None:
    take_image(db, record, status)
    insert(db, "imports", import_row(record, ""))
    hold(db, worker, record.id)
    note(db, "submitted", record, {})


def _stage(db: Database, record: Import, blob: Blob) -> bool:
    if not update(db, record):
        return False
    keep_blob(db, blob, to_text(record.updated_at) or "")
    row = {"image_id": record.image_id, "sha256": blob.address, "format": to_json(record.format)}
    insert(db, "image_stages", row)
    note(db, "staged", record, {algorithm_of(blob.address): blob.address, "size": blob.size})
    return True


def _staged(db: Database, image_id: str) -> Stage | None:
    sql = "SELECT blobs.*, image_stages.format FROM image_stages JOIN blobs USING (sha256) WHERE image_id = ?"
    for row in select(db, sql, [image_id]):
        return Stage(
            blob=to_blob(row),
            format=msgspec.json.decode(row["format"] or "null", type=FormatVerdict | None),
        )
    return None


def _activate(db: Database, record: Import, stage: Stage, image: Image, provenance: dict[str, Any]) -> None:
    sql = "DELETE FROM image_stages WHERE image_id = ? AND sha256 = ?"
    if db.execute(sql, [image.id, stage.blob.address]).rowcount != 1:
        raise Conflict(reason="no bytes are staged for the image")
    give_blob(db, image, stage.blob)
    insert(db, "imports", import_row(record, ""))
    keep_story(db, record, provenance)
    detail = {algorithm_of(stage.blob.address): stage.blob.address, "size": stage.blob.size}
    note(db, "activated", record, detail)
