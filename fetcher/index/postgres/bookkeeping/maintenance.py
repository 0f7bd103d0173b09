"""Maintenance of the store: blobs to scrub, loose files, what is old."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from fetcher.errors import BytesDamaged
from fetcher.index.postgres.bookkeeping import addresses
from fetcher.index.postgres.bookkeeping.audit_trail import forget_lines, trim_lines
from fetcher.index.postgres.bookkeeping.counts import COUNTED, RECOUNT_TEXT, TEXT_BYTES
from fetcher.index.postgres.image_records.images import lock_blob
from fetcher.index.postgres.imports import keeping
from fetcher.index.postgres.schema import FILES
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.rows import to_text
from fetcher.index.values import BlobState

MAX_NAMED = 10


class MaintenanceRecords:
    """Domain verbs of maintenance; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def loose(self, before: datetime | None = None) -> list[tuple[str, datetime]]:
        return await self._connection.read(_loose, to_text(before))

    async def is_loose(self, address: str) -> bool:
        return await self._connection.read(_is_loose, address)

    async def disown(self, address: str) -> bool:
        return await self._connection.write(_is_unneeded, address)

    async def settle(self, address: str) -> None:
        await self._connection.write(_settle, address)

    async def page(self, *, after: str = "", limit: int = 1000) -> list[BlobState]:
        return await self._connection.read(_page, after, limit)

    async def due(self, before: datetime, *, limit: int = 100) -> list[BlobState]:
        return await self._connection.read(_due, to_text(before), limit)

    async def faulty(self, *, after: str = "", limit: int = 100) -> list[BlobState]:
        return await self._connection.read(_faulty, after, limit)

    async def find(self, address: str) -> BlobState | None:
        return await self._connection.read(_find, address)

    async def mark(self, address: str, fault: str | None, now: datetime) -> bool:
        return await self._connection.write(_mark, address, fault, now)

    async def explain(self, address: str, note: str) -> None:
        await self._connection.write(_explain, address, note)

    async def check_whole(self, address: str) -> None:
        blob = await self.find(address)
        if blob is not None and blob.fault is not None:
            raise BytesDamaged(fault=blob.fault)

    async def digests(self, address: str) -> dict[str, str] | None:
        return await self._connection.read(addresses.digests_of, address)

    async def add_digests(self, address: str, digests: Mapping[str, str]) -> bool:
        return await self._connection.write(addresses.add_digests, address, digests)

    async def lacking(
        self, algorithms: Collection[str], *, after: str = "", limit: int = 100
    ) -> list[BlobState]:
        return await self._connection.read(addresses.lacking, algorithms, after, limit)

    async def sources(self, address: str) -> list[dict[str, Any]]:
        return await self._connection.read(_sources, address)

    async def images_of(self, address: str) -> list[str]:
        return await self._connection.read(_images_of, address)

    async def forget(
        self, *, audit_before: datetime, keys_before: datetime, retired_before: datetime, most: int = 1000
    ) -> int:
        before = (to_text(audit_before), to_text(keys_before), to_text(retired_before))
        return await self._connection.write(_forget, before, most)

    async def surplus(self, most: int, most_bytes: int) -> list[str]:
        return await self._connection.read(keeping.surplus, most, most_bytes)

    async def drop(self, import_ids: Sequence[str]) -> int:
        return await self._connection.write(keeping.drop, import_ids)

    async def trim_audit(self, most_lines: int, *, most: int = 1000) -> int:
        return await self._connection.write(trim_lines, most_lines, most)

    async def miscounted(self) -> list[str]:
        return await self._connection.read(_miscounted)

    async def recount(self) -> None:
        await self._connection.write(_recount)

    @property
    def is_checked(self) -> bool:
        return True  # The database sees to its own pages.

    @property
    def committed_at(self) -> float:
        return self._connection.committed_at

    async def probe(self, seconds: float) -> list[str]:
        del seconds
        await self._connection.write(_touch)
        return []

    async def damage(self) -> list[str]:
        return []

    async def complaints(self) -> list[str]:
        return await self._connection.read(_lost)


# As the migrations make them.
TRIGGERS = tuple(
    dict.fromkeys(  # A later migration makes some of them anew.
        name
        for file in sorted(FILES.glob("*.sql"))
        for name in re.findall(r"^CREATE TRIGGER (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    )
)
BLOB = "SELECT sha256 AS address, size, fault, note FROM blobs"


async def _blobs(db: Session, sql: str, arguments: list[Any]) -> list[BlobState]:
    return [msgspec.convert(row, BlobState) for row in await db.select(sql, arguments)]


async def _loose(db: Session, before: str | None) -> list[tuple[str, datetime]]:
    sql = """SELECT sha256, noted_at FROM loose_files WHERE (:before::text IS NULL OR noted_at < :before)
             AND sha256 NOT IN (SELECT coalesce(address, digests::jsonb ->> 'sha256') FROM imports
                 WHERE ended_at IS NULL AND phase = 'committing'
                 AND coalesce(address, digests::jsonb ->> 'sha256') IS NOT NULL)"""
    rows = await db.select(sql, {"before": before})
    return [(row["sha256"], datetime.fromisoformat(row["noted_at"])) for row in rows]


async def _is_loose(db: Session, address: str) -> bool:
    return bool(await db.select("SELECT 1 FROM loose_files WHERE sha256 = ?", [address]))


async def _is_unneeded(db: Session, address: str) -> bool:
    """Look once nobody writes the blob's row any more: not even who lost the connection while committing."""
    await lock_blob(db, address)
    return await _find(db, address) is None


async def _settle(db: Session, address: str) -> None:
    await db.execute("DELETE FROM loose_files WHERE sha256 = ?", [address])


async def _page(db: Session, after: str, limit: int) -> list[BlobState]:
    return await _blobs(db, f"{BLOB} WHERE sha256 > ? ORDER BY sha256 LIMIT ?", [after, limit])


async def _due(db: Session, before: str | None, limit: int) -> list[BlobState]:
    age = "coalesce(checked_at, created_at)"
    return await _blobs(db, f"{BLOB} WHERE {age} < ? ORDER BY {age} LIMIT ?", [before, limit])


async def _faulty(db: Session, after: str, limit: int) -> list[BlobState]:
    where = "fault IS NOT NULL AND sha256 > ?"
    return await _blobs(db, f"{BLOB} WHERE {where} ORDER BY sha256 LIMIT ?", [after, limit])


async def _find(db: Session, address: str) -> BlobState | None:
    return next(iter(await _blobs(db, f"{BLOB} WHERE sha256 = ?", [address])), None)


async def _mark(db: Session, address: str, fault: str | None, now: datetime) -> bool:
    sql = """UPDATE blobs SET fault = :fault, checked_at = :now,
                    note = CASE WHEN :fault::text IS NULL THEN NULL ELSE note END WHERE sha256 = :sha256"""
    return await db.execute(sql, {"fault": fault, "now": to_text(now), "sha256": address}) == 1


async def _explain(db: Session, address: str, note: str) -> None:
    await db.execute("UPDATE blobs SET note = ? WHERE sha256 = ? AND fault IS NOT NULL", [note, address])


async def _images_of(db: Session, address: str) -> list[str]:
    sql = """SELECT id FROM images WHERE sha256 = :sha256
             UNION SELECT image_id FROM image_stages WHERE sha256 = :sha256 LIMIT :most"""
    return [row["id"] for row in await db.select(sql, {"sha256": address, "most": MAX_NAMED})]


async def _sources(db: Session, address: str) -> list[dict[str, Any]]:
    sql = """SELECT provenance.document FROM images JOIN provenance ON provenance.image_id = images.id
             WHERE images.sha256 = ? ORDER BY images.created_at DESC LIMIT ?"""
    rows = await db.select(sql, [address, MAX_NAMED])
    return [msgspec.json.decode(row["document"], type=dict[str, Any]) for row in rows]


KEYS = """DELETE FROM idempotency_keys WHERE (project_id, key) IN
          (SELECT project_id, key FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?)"""
RETIRED = """DELETE FROM retired_images WHERE id IN
             (SELECT id FROM retired_images WHERE at < ? ORDER BY at LIMIT ?)"""
EMPTY = "DELETE FROM usage WHERE images = 0 AND bytes = 0 AND held_bytes = 0"


async def _forget(db: Session, before: tuple[str | None, ...], most: int) -> int:
    audit_before, *others = before
    gone = await forget_lines(db, audit_before, most)
    deletions = zip((KEYS, RETIRED), others, strict=True)
    gone += sum([await db.execute(sql, [moment, most]) for sql, moment in deletions])
    await db.execute(EMPTY)
    return gone


async def _miscounted(db: Session) -> list[str]:
    columns = "project_id, images, bytes, held_bytes"
    kept = f"SELECT {columns} FROM usage WHERE images <> 0 OR bytes <> 0 OR held_bytes <> 0"  # noqa: S608 - our columns
    true = f"SELECT {columns} FROM ({COUNTED}) AS counted WHERE images <> 0 OR bytes <> 0 OR held_bytes <> 0"  # noqa: S608 - likewise
    sql = f"""SELECT project_id FROM ({kept} EXCEPT {true}) AS more
              UNION SELECT project_id FROM ({true} EXCEPT {kept}) AS less"""  # noqa: S608 - likewise
    text = f"""SELECT project_id FROM usage WHERE text_bytes <>
        (SELECT coalesce(sum(text_bytes), 0) FROM images WHERE images.project_id = usage.project_id)
        UNION SELECT project_id FROM images WHERE text_bytes <> {TEXT_BYTES}"""  # noqa: S608 - likewise
    return [row["project_id"] for row in await db.select(f"{sql} UNION {text}")]


async def _recount(db: Session) -> None:
    await db.execute("UPDATE usage SET images = 0, bytes = 0, held_bytes = 0")
    await db.execute(
        f"""INSERT INTO usage (project_id, images, bytes, held_bytes) {COUNTED}
            ON CONFLICT (project_id) DO UPDATE SET
            images = excluded.images, bytes = excluded.bytes, held_bytes = excluded.held_bytes"""
    )
    await db.execute(f"UPDATE images SET text_bytes = {TEXT_BYTES} WHERE text_bytes <> {TEXT_BYTES}")  # noqa: S608 - ours
    await db.execute(RECOUNT_TEXT)
    # Each project's day is counted with its next export.
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('export_days', 0))")
    await db.execute("DELETE FROM export_days")


async def _touch(db: Session) -> None:
    """Write a row that is there already, durably."""
    await db.execute("UPDATE migrations SET name = name")


async def _lost(db: Session) -> list[str]:
    """Return the triggers that were removed or switched off: what they count would be wrong."""
    sql = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    there = {row["tgname"] for row in await db.select(sql)}
    return [f"the trigger {name} is missing" for name in TRIGGERS if name not in there]
