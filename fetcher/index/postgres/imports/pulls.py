"""Records of downloads: what a crash must not lose of them, and where earlier ones led."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from fetcher.index.postgres.session import Connection, Session
from fetcher.index.rows import to_blob, to_text
from fetcher.index.values import Remembered, ResumeState, Worker

# Written for each pull every few seconds: an upsert of the library's looks the table up first.
# Consecutive failures are in `barren`: hosts of an earlier version, upgraded one by one, write it so.
COLUMNS = """id, request, staged, source, validator, declared_bytes, kept_bytes, kept_sha256,
    spent_bytes, spent_seconds, barren"""
READ = f"{COLUMNS} AS consecutive_failures, kept_sha256 AS kept_digest"
KEEP = f"""
    INSERT INTO pulls (host, released_by, {COLUMNS})
    VALUES (:host, :released_by, :id, :request, :staged, :source, :validator, :declared_bytes, :kept_bytes,
            :kept_digest, :spent_bytes, :spent_seconds, :consecutive_failures)
    ON CONFLICT (id) DO UPDATE SET
        request = excluded.request, staged = excluded.staged, source = excluded.source,
        validator = excluded.validator, declared_bytes = excluded.declared_bytes,
        kept_bytes = excluded.kept_bytes, kept_sha256 = excluded.kept_sha256,
        spent_bytes = excluded.spent_bytes, spent_seconds = excluded.spent_seconds,
        barren = excluded.barren, released_by = excluded.released_by
    WHERE pulls.host IN ('', excluded.host)"""  # noqa: S608 - our columns

# A host is gone when its lease is over and it holds no import either.
ADOPT = f"""
    UPDATE pulls SET host = :host, released_by = NULL WHERE id = (
        SELECT id FROM pulls
        WHERE request = :request AND (released_by = host
            OR host NOT IN ('', :host) AND NOT is_alive(host) AND NOT EXISTS (
                SELECT 1 FROM imports WHERE worker = pulls.host AND ended_at IS NULL AND state <> 'queued'
                    AND lease_until > clock_timestamp()))
        ORDER BY kept_bytes DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING {READ}"""  # noqa: S608 - our columns


class PullRecords:
    """Domain verbs on pulls; each is one transaction.

    Args:
        worker: Whose they are: staged bytes lie where they came in.
    """

    def __init__(self, connection: Connection, worker: Worker) -> None:
        self._connection = connection
        self._worker = worker

    async def keep(self, resume_state: ResumeState) -> None:
        await self._connection.write(_keep, resume_state, self._worker)

    async def release(self, resume_state: ResumeState) -> None:
        await self._connection.write(_keep, resume_state, self._worker, is_released=True)

    async def keep_all(self, resume_states: Sequence[ResumeState]) -> None:
        if resume_states:
            await self._connection.write(_keep_all, resume_states, self._worker)

    async def drop(self, pull_id: str) -> None:
        await self._connection.write(_drop_all, [pull_id], self._worker)

    async def drop_all(self, pull_ids: Sequence[str]) -> None:
        await self._connection.write(_drop_all, pull_ids, self._worker)

    async def unfinished(self) -> list[ResumeState]:
        return await self._connection.read(_unfinished, self._worker)

    async def adopt(self, request: str) -> ResumeState | None:
        return await self._connection.write(_adopt, request, self._worker)

    async def remember(self, project_ids: Sequence[str], request: str, etag: str, address: str) -> None:
        await self._connection.write(_remember, project_ids, request, etag, address)

    async def recall(self, request: str) -> list[Remembered]:
        return await self._connection.read(_recall, request)

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        return await self._connection.write(_forget, before, most)


async def _keep(db: Session, resume_state: ResumeState, worker: Worker, *, is_released: bool = False) -> None:
    parameters = {**msgspec.structs.asdict(resume_state), "host": worker.name}
    await db.execute(KEEP, {**parameters, "released_by": worker.name if is_released else None})


async def _keep_all(db: Session, resume_states: Sequence[ResumeState], worker: Worker) -> None:
    for resume_state in sorted(resume_states, key=lambda one: one.id):  # Two writers lock them in one order.
        await _keep(db, resume_state, worker)


async def _drop_all(db: Session, pull_ids: Sequence[str], worker: Worker) -> None:
    await db.execute("DELETE FROM pulls WHERE id = ANY(?) AND host IN ('', ?)", [list(pull_ids), worker.name])


async def _unfinished(db: Session, worker: Worker) -> list[ResumeState]:
    sql = f"SELECT {READ} FROM pulls WHERE host IN ('', ?) ORDER BY id"  # noqa: S608 - our columns
    return [msgspec.convert(row, ResumeState) for row in await db.select(sql, [worker.name])]


async def _adopt(db: Session, request: str, worker: Worker) -> ResumeState | None:
    rows = await db.select(ADOPT, {"request": request, "host": worker.name})
    return msgspec.convert(rows[0], ResumeState) if rows else None


async def _remember(db: Session, project_ids: Sequence[str], request: str, etag: str, address: str) -> None:
    sql = """INSERT INTO remembered_urls (project_id, request, etag, sha256, at)
             SELECT ?, ?, ?, sha256, ? FROM blobs WHERE sha256 = ?
             ON CONFLICT (project_id, request) DO UPDATE SET
                 etag = excluded.etag, sha256 = excluded.sha256, at = excluded.at"""
    for project_id in project_ids:
        await db.execute(sql, [project_id, request, etag, to_text(datetime.now(UTC)), address])


async def _forget(db: Session, before: datetime, most: int) -> int:
    sql = """DELETE FROM remembered_urls WHERE (project_id, request) IN
             (SELECT project_id, request FROM remembered_urls WHERE at < ? LIMIT ?)"""
    return await db.execute(sql, [to_text(before), most])


async def _recall(db: Session, request: str) -> list[Remembered]:
    sql = """SELECT blobs.*, etag, array_agg(project_id) AS projects
             FROM remembered_urls JOIN blobs USING (sha256)
             WHERE request = ? AND fault IS NULL GROUP BY etag, blobs.sha256"""
    return [
        Remembered(
            etag=row["etag"],
            blob=to_blob(row),
            projects=frozenset(row["projects"]),
        )
        for row in await db.select(sql, [request])
    ]
