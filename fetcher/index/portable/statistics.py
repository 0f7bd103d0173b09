"""Statistics for the operator: who uses how much, how imports end, which origins are slow."""

from datetime import datetime

from fetcher.index.portable.session import Connection, Session
from fetcher.index.rows import to_text
from fetcher.index.statistics_rows import ENDINGS, RECENT_IMPORTS, slowest
from fetcher.index.values import (
    Ended,
    Ending,
    OriginStatistics,
    ProjectUsage,
    Totals,
)


class Statistics:
    """Questions over many rows; each is one read beside the writer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def last_code(self, since: datetime) -> str | None:
        return await self._connection.read(_last_code, since)

    async def usage(self, *, limit: int = 100) -> list[ProjectUsage]:
        return await self._connection.read(_usage, limit)

    async def totals(self) -> Totals:
        return await self._connection.read(_totals)

    async def endings(self, since: datetime, *, by_hour: bool) -> list[Ending]:
        return await self._connection.read(_endings, since, 13 if by_hour else 10)

    async def last_ended(self) -> int:
        return await self._connection.read(_last_ended)

    async def ended_after(self, number: int, *, limit: int = 5000) -> list[Ended]:
        return await self._connection.read(_ended_after, number, limit)

    async def origins(self, *, limit: int = 50) -> list[OriginStatistics]:
        return await self._connection.read(_origins, limit)


async def _usage(db: Session, limit: int) -> list[ProjectUsage]:
    sql = """SELECT project_id, count(*) AS images, CAST(coalesce(sum(size), 0) AS bigint) AS size FROM images
             GROUP BY project_id ORDER BY size DESC, project_id LIMIT ?"""
    return [ProjectUsage(**row) for row in await db.select(sql, [limit])]


async def _totals(db: Session) -> Totals:
    sql = """SELECT (SELECT count(*) FROM images) AS images, count(*) AS blobs,
                    CAST(coalesce(sum(size), 0) AS bigint) AS size, count(fault) AS faulty,
                    min(coalesce(checked_at, created_at)) AS oldest_check FROM blobs"""
    return Totals(**next(iter(await db.select(sql))))


def _code(db: Session) -> str:
    return f"""CASE action WHEN 'activated' THEN 'ok' WHEN 'cancelled' THEN 'cancelled'
               ELSE coalesce({db.dialect.detail_code}, audit.code) END"""


def _seconds(db: Session) -> str:
    return f"{db.dialect.seconds.format('ended_at')} - {db.dialect.seconds.format('started_at')}"


async def _endings(db: Session, since: datetime, length: int) -> list[Ending]:
    sql = f"""SELECT substr(at, 1, :length) AS at, {_code(db)} AS code, count(*) AS count
              FROM audit WHERE audit.at >= :since AND action IN {ENDINGS}
              GROUP BY 1, 2 ORDER BY 1, 3 DESC"""  # noqa: S608 - our own expression
    return [Ending(**row) for row in await db.select(sql, {"length": length, "since": to_text(since)})]


async def _last_ended(db: Session) -> int:
    return int(next(iter(await db.select("SELECT coalesce(max(id), 0) AS id FROM audit")))["id"])


async def _ended_after(db: Session, number: int, limit: int) -> list[Ended]:
    sql = f"""SELECT audit.id AS number, action, {_code(db)} AS code,
                     coalesce(imports.received_bytes, 0) AS size, {_seconds(db)} AS seconds
              FROM audit LEFT JOIN imports ON imports.id = audit.import_id
              WHERE audit.id > ? AND action IN {ENDINGS}
              ORDER BY audit.id LIMIT ?"""  # noqa: S608 - our own expression
    return [Ended(**row) for row in await db.select(sql, [number, limit])]


async def _origins(db: Session, limit: int) -> list[OriginStatistics]:
    sql = f"""SELECT url, state, received_bytes AS size, {_seconds(db)} AS seconds
              FROM imports WHERE ended_at IS NOT NULL AND started_at IS NOT NULL
              ORDER BY ended_at DESC LIMIT ?"""  # noqa: S608 - our own expression
    return slowest(await db.select(sql, [RECENT_IMPORTS]), limit)


async def _last_code(db: Session, since: datetime) -> str | None:
    sql = (
        "SELECT code FROM imports WHERE ended_at IS NOT NULL AND ended_at > ? ORDER BY ended_at DESC LIMIT 1"
    )
    return next((row["code"] for row in await db.select(sql, [to_text(since)])), None)
