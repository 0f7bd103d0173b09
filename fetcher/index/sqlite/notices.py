"""Who is still to be told that an import has ended: one row each, gone when they are told or given up."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlite_utils.db import Database

from fetcher.index.audit import note
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.rows import select, to_json, to_moment, to_text
from fetcher.index.sqlite.webhook_targets import WebhookTarget
from fetcher.model import Import, Notice


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is to be told."""

    import_id: str
    project_id: str
    webhook: WebhookTarget
    due_at: datetime


class NoticeRecords:
    """Domain verbs of notices; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def next(self, *, but_imports: Collection[str], but_projects: Collection[str]) -> Due | None:
        """Whoever is to be told first, leaving out some imports and some projects."""
        return await self._connection.read(_next, list(but_imports), list(but_projects))

    async def postpone(self, import_id: str, notice: Notice) -> None:
        """Write down an attempt that came to nothing; the next one is at its `next_at`."""
        await self._connection.write(_postpone, import_id, notice)

    async def settle(self, record: Import, notice: Notice) -> None:
        """Write down that somebody was told or given up; their URL and secret are kept no longer."""
        await self._connection.write(_settle, record, notice)

    async def excess(self, most: int) -> list[str]:
        """The imports whose notices are too many, those that wait for longest first."""
        return await self._connection.read(_excess, most)

    async def waiting(self) -> int:
        """How many are still to be told."""
        return await self._connection.read(_waiting)


def _next(db: Database, but_imports: list[str], but_projects: list[str]) -> Due | None:
    sql = """SELECT * FROM notices WHERE due_at IS NOT NULL
             AND import_id NOT IN (SELECT value FROM json_each(:imports))
             AND project_id NOT IN (SELECT value FROM json_each(:projects)) ORDER BY due_at LIMIT 1"""
    for row in select(db, sql, {"imports": to_json(but_imports), "projects": to_json(but_projects)}):
        return Due(
            import_id=row["import_id"],
            project_id=row["project_id"],
            webhook=WebhookTarget(url=row["url"], secret=row["secret"]),
            due_at=to_moment(row["due_at"]),  # type: ignore[arg-type] # the query leaves None out
        )
    return None


def _postpone(db: Database, import_id: str, notice: Notice) -> None:
    db.execute("UPDATE imports SET notice = ? WHERE id = ?", [to_json(notice), import_id])
    db.execute("UPDATE notices SET due_at = ? WHERE import_id = ?", [to_text(notice.next_at), import_id])


def _settle(db: Database, record: Import, notice: Notice) -> None:
    if not db.execute("DELETE FROM notices WHERE import_id = ?", [record.id]).rowcount:
        return
    db.execute("UPDATE imports SET notice = ? WHERE id = ?", [to_json(notice), record.id])
    action = "notified" if notice.state == "delivered" else "notify-given-up"
    told = msgspec.to_builtins(notice)
    note(db, action, msgspec.structs.replace(record, updated_at=notice.at or record.updated_at), told)


def _excess(db: Database, most: int) -> list[str]:
    sql = "SELECT import_id FROM notices WHERE due_at IS NOT NULL ORDER BY due_at DESC LIMIT max(0, ? - ?)"
    return [row[0] for row in db.execute(sql, [_waiting(db), most])]


def _waiting(db: Database) -> int:
    return int(db.execute("SELECT count(*) FROM notices WHERE due_at IS NOT NULL").fetchone()[0])
