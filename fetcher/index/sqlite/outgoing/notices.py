"""Webhooks that are due: one row each, deleted when the delivery has succeeded or was given up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec
from sqlite_utils.db import Database

from fetcher.index.rows import to_json, to_moment, to_text
from fetcher.index.sqlite.bookkeeping.audit import note
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.rows import select
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


def _due(db: Database, wanted: Wanted) -> list[Due]:
    # A first attempt is due at once, whatever the date was when the import ended.
    sql = """SELECT *, min(due_at) FROM notices WHERE due_at IS NOT NULL
             AND (due_at <= :now OR due_at > :far OR import_id IN (SELECT value FROM json_each(:waited))
                  OR 0 = (SELECT ifnull(json_extract(notice, '$.attempts'), 0) FROM imports
                          WHERE id = import_id))
             AND import_id NOT IN (SELECT value FROM json_each(:imports))
             AND project_id NOT IN (SELECT value FROM json_each(:projects))
             AND json_array(project_id, ifnull(url, '')) NOT IN (SELECT value FROM json_each(:receivers))
             GROUP BY project_id"""
    arguments = {
        "now": to_text(wanted.now),
        "far": to_text(wanted.far),
        "waited": to_json(wanted.waited),
        "imports": to_json(wanted.but_imports),
        "projects": to_json(wanted.but_projects),
        "receivers": to_json(wanted.but_receivers),
    }
    return [
        Due(
            import_id=row["import_id"],
            project_id=row["project_id"],
            webhook=WebhookTarget(url=row["url"], secret=row["secret"]),
            due_at=to_moment(row["due_at"]),  # type: ignore[arg-type] # the query leaves None out
        )
        for row in select(db, sql, arguments)
    ]


def _next_at(db: Database) -> datetime | None:
    return to_moment(db.execute("SELECT min(due_at) FROM notices WHERE due_at IS NOT NULL").fetchone()[0])


def _postpone(db: Database, import_id: str, notice: Notice) -> None:
    db.execute("UPDATE imports SET notice = ? WHERE id = ?", [to_json(notice), import_id])
    db.execute("UPDATE notices SET due_at = ? WHERE import_id = ?", [to_text(notice.next_at), import_id])


def _settle(db: Database, record: Import, notice: Notice) -> None:
    if not db.execute("DELETE FROM notices WHERE import_id = ?", [record.id]).rowcount:
        return
    db.execute("UPDATE imports SET notice = ? WHERE id = ?", [to_json(notice), record.id])
    action = "notified" if notice.state == "delivered" else "notify-given-up"
    detail = msgspec.to_builtins(notice)
    note(db, action, msgspec.structs.replace(record, updated_at=notice.at or record.updated_at), detail)


def _excess(db: Database, most: int) -> list[str]:
    sql = "SELECT import_id FROM notices WHERE due_at IS NOT NULL ORDER BY due_at DESC LIMIT max(0, ? - ?)"
    return [row[0] for row in db.execute(sql, [_waiting(db), most])]


def _waiting(db: Database) -> int:
    return int(db.execute("SELECT count(*) FROM notices WHERE due_at IS NOT NULL").fetchone()[0])
