"""Webhooks that are due: one row each, deleted when the delivery has succeeded or was given up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec

from fetcher.index.postgres.bookkeeping.audit import note
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.rows import to_json, to_moment, to_text
from fetcher.index.values import Due, Wanted, WebhookTarget
from fetcher.model import Import, Notice


class NoticeRecords:
    """Domain verbs of notices; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watchers: list[Callable[[], None]] = []

    @contextmanager
    def watched(self, wake: Callable[[], None]) -> Iterator[None]:
        self._watchers.append(wake)
        try:
            yield
        finally:
            self._watchers.remove(wake)

    def wake(self) -> None:
        """Tell those who watch; called in the loop that they run in."""
        for watcher in self._watchers:
            watcher()

    async def due(self, wanted: Wanted) -> list[Due]:
        return await self._connection.read(_due, wanted)

    async def next_at(self) -> datetime | None:
        return await self._connection.read(_next_at)

    async def postpone(self, import_id: str, notice: Notice) -> None:
        await self._connection.write(_postpone, import_id, notice)

    async def settle(self, record: Import, notice: Notice) -> None:
        await self._connection.write(_settle, record, notice)

    async def excess(self, most: int) -> list[str]:
        return await self._connection.read(_excess, most)

    async def waiting(self) -> int:
        return await self._connection.read(_waiting)


async def _due(db: Session, wanted: Wanted) -> list[Due]:
    # A first attempt is due at once, whatever the date was when the import ended.
    sql = """SELECT DISTINCT ON (project_id) * FROM notices WHERE due_at IS NOT NULL
             AND (due_at <= :now OR due_at > :far OR import_id = ANY(:waited::text[])
                  OR 0 = (SELECT coalesce((notice::jsonb ->> 'attempts')::int, 0) FROM imports
                          WHERE id = import_id))
             AND import_id <> ALL(:imports::text[])
             AND project_id <> ALL(:projects::text[])
             AND (project_id, coalesce(url, '')) NOT IN
                 (SELECT * FROM unnest(:slow_projects::text[], :slow_urls::text[]))
             ORDER BY project_id, due_at"""
    arguments = {
        "now": to_text(wanted.now),
        "far": to_text(wanted.far),
        "waited": wanted.waited,
        "imports": wanted.but_imports,
        "projects": wanted.but_projects,
        "slow_projects": [project for project, _url in wanted.but_receivers],
        "slow_urls": [url for _project, url in wanted.but_receivers],
    }
    return [
        Due(
            import_id=row["import_id"],
            project_id=row["project_id"],
            webhook=WebhookTarget(url=row["url"], secret=row["secret"]),
            due_at=to_moment(row["due_at"]),  # type: ignore[arg-type] # the query leaves None out
        )
        for row in await db.select(sql, arguments)
    ]


async def _next_at(db: Session) -> datetime | None:
    [row] = await db.select("SELECT min(due_at) AS at FROM notices WHERE due_at IS NOT NULL")
    return to_moment(row["at"])


async def _postpone(db: Session, import_id: str, notice: Notice) -> None:
    await db.execute("UPDATE imports SET notice = ? WHERE id = ?", [to_json(notice), import_id])
    await db.execute(
        "UPDATE notices SET due_at = ? WHERE import_id = ?", [to_text(notice.next_at), import_id]
    )


async def _settle(db: Session, record: Import, notice: Notice) -> None:
    if not await db.execute("DELETE FROM notices WHERE import_id = ?", [record.id]):
        return
    await db.execute("UPDATE imports SET notice = ? WHERE id = ?", [to_json(notice), record.id])
    action = "notified" if notice.state == "delivered" else "notify-given-up"
    detail = msgspec.to_builtins(notice)
    await note(db, action, msgspec.structs.replace(record, updated_at=notice.at or record.updated_at), detail)


async def _excess(db: Session, most: int) -> list[str]:
    sql = """SELECT import_id FROM notices WHERE due_at IS NOT NULL ORDER BY due_at DESC
             LIMIT greatest(0, (SELECT count(*) FROM notices WHERE due_at IS NOT NULL) - ?)"""
    return [row["import_id"] for row in await db.select(sql, [most])]


async def _waiting(db: Session) -> int:
    [row] = await db.select("SELECT count(*) AS n FROM notices WHERE due_at IS NOT NULL")
    return int(row["n"])
