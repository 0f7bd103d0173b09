"""Usage of each project, and the one place where a quota is enforced: at the end of every write."""

from collections.abc import Callable
from typing import Any

import msgspec

from fetcher.errors import QuotaExceeded
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.values import Quota, Usage

BUSY = "status IN ('importing', 'saving', 'uploading')"

Held = tuple[int, int, int]  # Images, bytes, bytes of text.
# What the triggers noted of this transaction, and what the projects that grew hold now.
NOTED = """SELECT grown::text, begun, (
        SELECT jsonb_object_agg(project_id, jsonb_build_array(images, bytes + held_bytes, text_bytes))::text
        FROM usage WHERE project_id IN (SELECT jsonb_object_keys(grown))) AS held
    FROM (SELECT nullif(current_setting('fetcher.grown', true), '')::jsonb AS grown,
                 current_setting('fetcher.begun', true) AS begun) AS noted"""


class QuotaCheck:
    """Refuses every write that makes a project hold more than it may.

    The tables count by themselves, in rows that stay locked until the end of
    whoever changed them, so that races are decided one after the other. The
    same triggers note what each project held before, in settings that last as
    long as the transaction.

    Args:
        quota_of: Given a project's id, its quota in force now.
    """

    def __init__(self, quota_of: Callable[[str], Quota]) -> None:
        self._quota_of = quota_of

    def of(self, project_id: str) -> Quota:
        """Return the quota of a project that is in force now."""
        return self._quota_of(project_id)

    async def check(self, db: Session) -> None:
        """Judge the write that was just made; it is rolled back when this raises.

        Raises:
            QuotaExceeded: A project that grew holds more than it may.
        """
        [noted] = await db.select(NOTED)
        for project_id in _noted(noted["begun"]):
            await self._check_begun(db, project_id)
        held = _noted(noted["held"])
        for project_id, before in _noted(noted["grown"]).items():
            if project_id in held:
                check_grown(self._quota_of(project_id), before, held[project_id])

    async def _check_begun(self, db: Session, project_id: str) -> None:
        """Judge what was begun: how many images a project writes at once, and how much it has staged."""
        quota = self._quota_of(project_id)
        if quota.max_uploading is None and quota.max_staged_bytes is None:
            return
        # Rows that others begin meanwhile are seen by nobody but them: one after the other.
        [begun] = await db.select("SELECT uploading, staged FROM begun_by(?)", [project_id])
        check_begun(quota, begun["uploading"], begun["staged"])


def check_grown(quota: Quota, before: Held, now: Held) -> None:
    """Judge what a project holds now beside what it held.

    Raises:
        QuotaExceeded: It grew, and holds more than it may.
    """
    (images, size, text), (now_images, now_size, now_text) = before, now
    if now_images > quota.max_images and now_images > images:
        raise QuotaExceeded(what="images", quota=quota.max_images, used=images)
    if now_size > quota.max_bytes and now_size > size:
        raise QuotaExceeded(what="bytes", quota=quota.max_bytes, used=size)
    if now_text > quota.max_text_bytes and now_text > text:
        raise QuotaExceeded(what="bytes of text", quota=quota.max_text_bytes, used=text)
    if now_images > images and size >= quota.max_bytes:
        raise QuotaExceeded(what="bytes", quota=quota.max_bytes, used=size)


def check_begun(quota: Quota, uploading: int, staged: int) -> None:
    """Judge how many images a project writes at once, the last one counted, and how many bytes it has staged.

    Raises:
        QuotaExceeded: More than it may.
    """
    if quota.max_uploading is not None and uploading > quota.max_uploading:
        what = "images that are written at the same time"
        raise QuotaExceeded(what=what, quota=quota.max_uploading, used=uploading - 1)
    if quota.max_staged_bytes is not None and staged > quota.max_staged_bytes:
        raise QuotaExceeded(what="staged bytes", quota=quota.max_staged_bytes, used=staged)


def _noted(setting: str | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(setting or "{}")
    return found


async def _begun(db: Session, project_id: str) -> tuple[int, int]:
    """Count images that are written now and bytes that are staged; few rows whatever a project holds."""
    sql = f"""SELECT (SELECT count(*) FROM images WHERE {BUSY} AND project_id = :project) AS uploading,
        (SELECT coalesce(sum(size), 0)::bigint FROM image_stages WHERE project_id = :project) AS staged"""  # noqa: S608 - our own condition
    [row] = await db.select(sql, {"project": project_id})
    return row["uploading"], row["staged"]


class UsageRecords:
    """Verbs on what projects hold."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, project_id: str) -> Usage:
        return await self._connection.read(_find, project_id)

    async def bytes_of(self, project_id: str) -> int:
        return await self._connection.read(bytes_of, project_id)


async def _find(db: Session, project_id: str) -> Usage:
    sql = "SELECT images, bytes, held_bytes FROM usage WHERE project_id = ?"
    for row in await db.select(sql, [project_id]):
        uploading, staged = await _begun(db, project_id)
        return Usage(**row, uploading=uploading, staged_bytes=staged)
    return Usage()


async def bytes_of(db: Session, project_id: str) -> int:
    """Return the bytes of a project's images alone."""
    rows = await db.select("SELECT bytes FROM usage WHERE project_id = ?", [project_id])
    return sum(row["bytes"] for row in rows)
