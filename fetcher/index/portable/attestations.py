"""Records of signed statements on images."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from fetcher.index.portable.images import readable_image
from fetcher.index.portable.session import Connection, Session
from fetcher.index.rows import Row, to_text
from fetcher.index.values import Signed, Unsigned
from fetcher.model import Actor


class AttestationRecords:
    """Domain verbs on attestations; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def unsigned(self, *, limit: int = 100) -> list[Unsigned]:
        return await self._connection.read(_unsigned, limit)

    async def story(self, image_id: str, actor: Actor) -> Unsigned | None:
        return await self._connection.read(_story, image_id, actor)

    async def find(self, image_id: str) -> Signed | None:
        return await self._connection.read(_find, image_id)

    async def page(self, *, after: str = "", limit: int = 1000) -> list[Signed]:
        return await self._connection.read(_page, after, limit)

    async def keep(self, unsigned: Unsigned, key_id: str, envelope: str, now: datetime) -> bool:
        return await self._connection.write(_keep, unsigned, (key_id, envelope, to_text(now)))


_STORY = """SELECT images.id AS image_id, provenance.import_id, provenance.document FROM images
            JOIN provenance ON provenance.image_id = images.id"""


def _read(rows: Iterable[Row]) -> list[Unsigned]:
    return [
        Unsigned(
            image_id=row["image_id"],
            import_id=row["import_id"],
            story=msgspec.json.decode(row["document"], type=dict[str, Any]),
        )
        for row in rows
    ]


async def _unsigned(db: Session, limit: int) -> list[Unsigned]:
    # In words that lead to no index: SQLite would go through all images with bytes for the few unsigned.
    sql = f"""{_STORY} JOIN attestations ON attestations.image_id = images.id
              WHERE attestations.envelope IS NULL AND coalesce(images.sha256, '') <> '' LIMIT ?"""
    return _read(await db.select(sql, [limit]))


async def _story(db: Session, image_id: str, actor: Actor) -> Unsigned | None:
    await readable_image(db, image_id, actor)
    sql = f"{_STORY} WHERE images.id = ? AND images.sha256 IS NOT NULL"
    return next(iter(_read(await db.select(sql, [image_id]))), None)


async def _find(db: Session, image_id: str) -> Signed | None:
    sql = "SELECT image_id, key_id, envelope FROM attestations WHERE image_id = ? AND envelope IS NOT NULL"
    return next((msgspec.convert(row, Signed) for row in await db.select(sql, [image_id])), None)


async def _page(db: Session, after: str, limit: int) -> list[Signed]:
    sql = """SELECT image_id, key_id, envelope FROM attestations
             WHERE image_id > ? AND envelope IS NOT NULL ORDER BY image_id LIMIT ?"""
    return [msgspec.convert(row, Signed) for row in await db.select(sql, [after, limit])]


async def _keep(db: Session, unsigned: Unsigned, row: tuple[str, str, str | None]) -> bool:
    key_id, envelope, now = row
    # The story stays as it is until this is written: a new one asks for a new statement.
    ours = f"SELECT 1 FROM provenance WHERE image_id = ? AND import_id = ? {db.dialect.row_lock}"  # noqa: S608 - our own words
    if not await db.select(ours, [unsigned.image_id, unsigned.import_id]):
        return False
    sql = """UPDATE attestations SET key_id = ?, envelope = ?, created_at = ?
             WHERE image_id = ? AND envelope IS NULL"""
    return await db.execute(sql, [key_id, envelope, now, unsigned.image_id]) == 1
