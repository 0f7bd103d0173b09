"""Records of signed statements on images."""

from datetime import datetime
from typing import Any

import msgspec
from sqlite_utils.db import Database

from fetcher.index import scope
from fetcher.index.rows import to_text
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.image_records.images import find_row
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Signed, Unsigned
from fetcher.model import Actor


class AttestationRecords:
    """Domain verbs on attestations; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def unsigned(self, *, limit: int = 100) -> list[Unsigned]:
        return await self._connection.read(_unsigned, limit)

    async def story(self, image_id: str, actor: Actor) -> Unsigned | None:
        return await self._connection.read(_story, image_id, scope.readable_images(actor))

    async def find(self, image_id: str) -> Signed | None:
        return await self._connection.read(_find, image_id)

    async def page(self, *, after: str = "", limit: int = 1000) -> list[Signed]:
        return await self._connection.read(_page, after, limit)

    async def keep(self, unsigned: Unsigned, key_id: str, envelope: str, now: datetime) -> bool:
        return await self._connection.write(_keep, unsigned, (key_id, envelope, to_text(now)))


_STORY = """SELECT images.id AS image_id, provenance.import_id, provenance.document FROM images
            JOIN provenance ON provenance.image_id = images.id"""


def _read(rows: Any) -> list[Unsigned]:
    return [
        Unsigned(
            image_id=row["image_id"],
            import_id=row["import_id"],
            story=msgspec.json.decode(row["document"], type=dict[str, Any]),
        )
        for row in rows
    ]


def _unsigned(db: Database, limit: int) -> list[Unsigned]:
    sql = f"""{_STORY} JOIN attestations ON attestations.image_id = images.id
              WHERE attestations.envelope IS NULL AND images.sha256 IS NOT NULL LIMIT ?"""
    return _read(select(db, sql, [limit]))


def _story(db: Database, image_id: str, condition: scope.Condition) -> Unsigned | None:
    find_row(db, image_id, condition)
    sql = f"{_STORY} WHERE images.id = ? AND images.sha256 IS NOT NULL"
    return next(iter(_read(select(db, sql, [image_id]))), None)


def _find(db: Database, image_id: str) -> Signed | None:
    sql = "SELECT image_id, key_id, envelope FROM attestations WHERE image_id = ? AND envelope IS NOT NULL"
    return next((msgspec.convert(row, Signed) for row in select(db, sql, [image_id])), None)


def _page(db: Database, after: str, limit: int) -> list[Signed]:
    sql = """SELECT image_id, key_id, envelope FROM attestations
             WHERE image_id > ? AND envelope IS NOT NULL ORDER BY image_id LIMIT ?"""
    return [msgspec.convert(row, Signed) for row in select(db, sql, [after, limit])]


def _keep(db: Database, unsigned: Unsigned, row: tuple[str, str, str | None]) -> bool:
    key_id, envelope, now = row
    sql = """UPDATE attestations SET key_id = :key_id, envelope = :envelope, created_at = :now
             WHERE image_id = :image_id AND envelope IS NULL
             AND EXISTS (SELECT 1 FROM provenance WHERE image_id = :image_id AND import_id = :import_id)"""
    arguments = {"key_id": key_id, "envelope": envelope, "now": now}
    ids = {"image_id": unsigned.image_id, "import_id": unsigned.import_id}
    return db.execute(sql, {**arguments, **ids}).rowcount == 1
