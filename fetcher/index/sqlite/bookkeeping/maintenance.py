"""Maintenance of the store: blobs to scrub, loose files, what is old."""

import asyncio
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import BytesDamaged, StoreFailed
from fetcher.index.rows import to_text
from fetcher.index.sqlite.bookkeeping import addresses
from fetcher.index.sqlite.bookkeeping.audit_trail import forget_lines, trim_lines
from fetcher.index.sqlite.bookkeeping.counts import COUNTED, RECOUNT_TEXT, TEXT_BYTES
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.imports import keeping
from fetcher.index.sqlite.rows import select
from fetcher.index.sqlite.schema import migrate, migrations
from fetcher.index.sqlite.soundness import check_version, is_passing, missing_parts
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
        # A read is not enough after a COMMIT that reported an error: it may have reached the disk all the
        # same, and a start would then find its rows. A later COMMIT that goes well takes the place of what
        # is in doubt. Source: https://www.sqlite.org/walformat.html, section 2.5, and `sqlite3WalUndo`.
        run = self._connection.write if self._connection.is_in_doubt else self._connection.read
        return await run(_find, address) is None

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
        return self._connection.is_checked

    @property
    def committed_at(self) -> float:
        return self._connection.committed_at

    async def probe(self, seconds: float) -> list[str]:
        await self._connection.probe()
        return await asyncio.to_thread(self._connection.check_file, seconds)

    async def damage(self) -> list[str]:
        return await asyncio.to_thread(self._connection.check_file)

    async def complaints(self) -> list[str]:
        return await self._connection.read(_complaints)


BLOB = "SELECT sha256 AS address, size, fault, note FROM blobs"


def _blobs(db: Database, sql: str, arguments: list[Any]) -> list[BlobState]:
    return [msgspec.convert(row, BlobState) for row in select(db, sql, arguments)]


def _loose(db: Database, before: str | None) -> list[tuple[str, datetime]]:
    sql = """SELECT sha256, noted_at FROM loose_files WHERE (:before IS NULL OR noted_at < :before)
             AND sha256 NOT IN (SELECT coalesce(address, json_extract(digests, '$.sha256')) FROM imports
                 WHERE ended_at IS NULL AND phase = 'committing'
                 AND coalesce(address, json_extract(digests, '$.sha256')) IS NOT NULL)"""
    return [(row[0], datetime.fromisoformat(row[1])) for row in db.execute(sql, {"before": before})]


def _is_loose(db: Database, address: str) -> bool:
    return db.execute("SELECT 1 FROM loose_files WHERE sha256 = ?", [address]).fetchone() is not None


def _settle(db: Database, address: str) -> None:
    db.execute("DELETE FROM loose_files WHERE sha256 = ?", [address])


def _page(db: Database, after: str, limit: int) -> list[BlobState]:
    return _blobs(db, f"{BLOB} WHERE sha256 > ? ORDER BY sha256 LIMIT ?", [after, limit])


def _due(db: Database, before: str | None, limit: int) -> list[BlobState]:
    age = "ifnull(checked_at, created_at)"
    return _blobs(db, f"{BLOB} WHERE {age} < ? ORDER BY {age} LIMIT ?", [before, limit])


def _faulty(db: Database, after: str, limit: int) -> list[BlobState]:
    where = "fault IS NOT NULL AND sha256 > ?"
    return _blobs(db, f"{BLOB} WHERE {where} ORDER BY sha256 LIMIT ?", [after, limit])


def _find(db: Database, address: str) -> BlobState | None:
    return next(iter(_blobs(db, f"{BLOB} WHERE sha256 = ?", [address])), None)


def _mark(db: Database, address: str, fault: str | None, now: datetime) -> bool:
    sql = """UPDATE blobs SET fault = :fault, checked_at = :now,
                    note = CASE WHEN :fault IS NULL THEN NULL ELSE note END WHERE sha256 = :sha256"""
    return db.execute(sql, {"fault": fault, "now": to_text(now), "sha256": address}).rowcount == 1


def _explain(db: Database, address: str, note: str) -> None:
    db.execute("UPDATE blobs SET note = ? WHERE sha256 = ? AND fault IS NOT NULL", [note, address])


def _images_of(db: Database, address: str) -> list[str]:
    sql = """SELECT id FROM images WHERE sha256 = :sha256
             UNION SELECT image_id FROM image_stages WHERE sha256 = :sha256 LIMIT :most"""
    return [row[0] for row in db.execute(sql, {"sha256": address, "most": MAX_NAMED})]


def _sources(db: Database, address: str) -> list[dict[str, Any]]:
    sql = """SELECT provenance.document FROM images JOIN provenance ON provenance.image_id = images.id
             WHERE images.sha256 = ? ORDER BY images.created_at DESC LIMIT ?"""
    rows = db.execute(sql, [address, MAX_NAMED])
    return [msgspec.json.decode(row[0], type=dict[str, Any]) for row in rows]


KEYS = """DELETE FROM idempotency_keys WHERE (project_id, key) IN
          (SELECT project_id, key FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?)"""
RETIRED = """DELETE FROM retired_images WHERE id IN
             (SELECT id FROM retired_images WHERE at < ? ORDER BY at LIMIT ?)"""
EMPTY = "DELETE FROM usage WHERE images = 0 AND bytes = 0 AND held_bytes = 0"


def _forget(db: Database, before: tuple[str | None, ...], most: int) -> int:
    audit_before, *others = before
    gone = forget_lines(db, audit_before, most)
    deletions = zip((KEYS, RETIRED), others, strict=True)
    gone += sum(db.execute(sql, [moment, most]).rowcount for sql, moment in deletions)
    db.execute(EMPTY)
    return gone


def _miscounted(db: Database) -> list[str]:
    columns = "project_id, images, bytes, held_bytes"
    kept = f"SELECT {columns} FROM usage WHERE images <> 0 OR bytes <> 0 OR held_bytes <> 0"  # noqa: S608 - our columns
    true = f"SELECT {columns} FROM ({COUNTED}) WHERE images <> 0 OR bytes <> 0 OR held_bytes <> 0"  # noqa: S608 - likewise
    sql = f"SELECT project_id FROM ({kept} EXCEPT {true}) UNION SELECT project_id FROM ({true} EXCEPT {kept})"  # noqa: S608 - both parts are ours
    text = f"""SELECT project_id FROM usage WHERE text_bytes <>
        (SELECT ifnull(sum(text_bytes), 0) FROM images WHERE images.project_id = usage.project_id)
        UNION SELECT project_id FROM images WHERE text_bytes <> {TEXT_BYTES}"""  # noqa: S608 - likewise
    return [row[0] for row in db.execute(f"{sql} UNION {text}")]


def _recount(db: Database) -> None:
    db.execute("UPDATE usage SET images = 0, bytes = 0, held_bytes = 0")
    db.execute(
        f"""INSERT INTO usage (project_id, images, bytes, held_bytes) {COUNTED}
            ON CONFLICT (project_id) DO UPDATE SET
            images = excluded.images, bytes = excluded.bytes, held_bytes = excluded.held_bytes"""
    )
    db.execute(f"UPDATE images SET text_bytes = {TEXT_BYTES} WHERE text_bytes <> {TEXT_BYTES}")  # noqa: S608 - ours
    db.execute(RECOUNT_TEXT)


def _complaints(db: Database) -> list[str]:
    try:
        check_version(db, migrations)
        is_current = not migrations.pending(db)  # The next start brings an earlier version up to date.
        lost = [f"{part} is missing" for part in missing_parts(db, migrate)] if is_current else []
        found = [row[0] for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        dangling = db.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.DatabaseError as error:
        if is_passing(error):
            raise
        return [str(error)]
    except StoreFailed as failure:
        return [failure.reason]
    return [*lost, *found, *(f"{row[0]} refers to a missing {row[2]}" for row in dangling)]
