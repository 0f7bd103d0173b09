"""Records of downloads: what a crash must not lose of them, and where earlier ones led."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from sqlite_utils.db import Database

from fetcher.index.rows import to_blob, to_text
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Remembered, ResumeState

# Written for each pull every few seconds: an upsert of the library's looks the table up first.
# Consecutive failures are in `barren`, as in PostgreSQL.
KEEP = """
    INSERT INTO pulls (id, request, staged, source, validator, declared_bytes, kept_bytes, kept_sha256,
                       spent_bytes, spent_seconds, barren)
    VALUES (:id, :request, :staged, :source, :validator, :declared_bytes, :kept_bytes, :kept_digest,
            :spent_bytes, :spent_seconds, :consecutive_failures)
    ON CONFLICT (id) DO UPDATE SET
        request = excluded.request, staged = excluded.staged, source = excluded.source,
        validator = excluded.validator, declared_bytes = excluded.declared_bytes,
        kept_bytes = excluded.kept_bytes, kept_sha256 = excluded.kept_sha256,
        spent_bytes = excluded.spent_bytes, spent_seconds = excluded.spent_seconds,
        barren = excluded.barren"""


class PullRecords:
    """Domain verbs on pulls; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self, resume_state: ResumeState) -> None:
        await self._connection.write(_keep, resume_state)

    async def release(self, resume_state: ResumeState) -> None:
        await self.keep(resume_state)

    async def keep_all(self, resume_states: Sequence[ResumeState]) -> None:
        if resume_states:
            await self._connection.write(_keep_all, resume_states)

    async def drop(self, pull_id: str) -> None:
        await self._connection.write(_drop, pull_id)

    async def drop_all(self, pull_ids: Sequence[str]) -> None:
        await self._connection.write(_drop_all, pull_ids)

    async def unfinished(self) -> list[ResumeState]:
        return await self._connection.read(_unfinished)

    async def adopt(self, request: str) -> None:
        """Return None: there is no other host, and a start finds all that is left."""

    async def remember(self, project_ids: Sequence[str], request: str, etag: str, address: str) -> None:
        await self._connection.write(_remember, project_ids, request, etag, address)

    async def recall(self, request: str) -> list[Remembered]:
        return await self._connection.read(_recall, request)

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        return await self._connection.write(_forget, before, most)


def _keep(db: Database, resume_state: ResumeState) -> None:
    db.conn.execute(KEEP, msgspec.structs.asdict(resume_state))


def _keep_all(db: Database, resume_states: Sequence[ResumeState]) -> None:
    for resume_state in resume_states:
        _keep(db, resume_state)


def _drop(db: Database, pull_id: str) -> None:
    db.execute("DELETE FROM pulls WHERE id = ?", [pull_id])


def _drop_all(db: Database, pull_ids: Sequence[str]) -> None:
    for pull_id in pull_ids:
        _drop(db, pull_id)


def _unfinished(db: Database) -> list[ResumeState]:
    sql = "SELECT *, barren AS consecutive_failures, kept_sha256 AS kept_digest FROM pulls ORDER BY id"
    return [msgspec.convert(row, ResumeState) for row in select(db, sql)]


def _remember(db: Database, project_ids: Sequence[str], request: str, etag: str, address: str) -> None:
    sql = """INSERT OR REPLACE INTO remembered_urls (project_id, request, etag, sha256, at)
             SELECT ?, ?, ?, sha256, ? FROM blobs WHERE sha256 = ?"""
    for project_id in project_ids:
        db.execute(sql, [project_id, request, etag, to_text(datetime.now(UTC)), address])


def _forget(db: Database, before: datetime, most: int) -> int:
    sql = """DELETE FROM remembered_urls WHERE (project_id, request) IN
             (SELECT project_id, request FROM remembered_urls WHERE at < ? LIMIT ?)"""
    return db.execute(sql, [to_text(before), most]).rowcount


def _recall(db: Database, request: str) -> list[Remembered]:
    sql = """SELECT blobs.*, etag, group_concat(json_quote(project_id)) AS projects
             FROM remembered_urls JOIN blobs USING (sha256)
             WHERE request = ? AND fault IS NULL GROUP BY etag, sha256"""
    return [
        Remembered(
            etag=row["etag"],
            blob=to_blob(row),
            projects=msgspec.json.decode(f"[{row['projects']}]", type=frozenset[str]),
        )
        for row in select(db, sql, [request])
    ]
