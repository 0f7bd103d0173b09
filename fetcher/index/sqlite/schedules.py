"""Records of images that are kept new."""

from collections.abc import Callable
from datetime import datetime

from sqlite_utils.db import Database

from fetcher.errors import Conflict, UnknownSchedule
from fetcher.index import scope
from fetcher.index.rows import to_json, to_text
from fetcher.index.schedule_rows import (
    DUE,
    EDITED,
    MOST_AHEAD,
    NAMED,
    is_as_read,
    line_on,
    list_of,
    retired_name,
    schedule_row,
    schedules_within,
    to_schedule,
)
from fetcher.index.sqlite.bookkeeping.audit import note_line
from fetcher.index.sqlite.bookkeeping.counts import TEXT_BYTES
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import ANSWER_BYTES, Rows, Schedule, ScheduleProgress
from fetcher.model import Actor


class ScheduleRecords:
    """Domain verbs on schedules; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, schedule: Schedule, *, most: int) -> None:
        await self._connection.write(_create, schedule, most)

    async def find(self, schedule_id: str, actor: Actor) -> Schedule:
        return await self._connection.read(_find, schedule_id, scope.own_schedules(actor))

    async def page(
        self, actor: Actor, *, limit: int = 1000, marker: str | None = None, max_bytes: int = ANSWER_BYTES
    ) -> Rows[Schedule]:
        most = (limit, max_bytes)
        return await self._connection.read(_page, scope.own_schedules(actor), most, marker)

    async def edit(self, schedule_id: str, actor: Actor, change: Callable[[Schedule], Schedule]) -> Schedule:
        return await self._connection.write(_edit, schedule_id, actor, change)

    async def remove(self, schedule_id: str, actor: Actor) -> None:
        await self._connection.write(_remove, schedule_id, actor)

    async def due(self, now: datetime, *, limit: int = 100) -> list[Schedule]:
        return await self._connection.read(_due, to_text(now), to_text(now + MOST_AHEAD), limit)

    async def note(self, schedule: Schedule, progress: ScheduleProgress, next_at: datetime) -> bool:
        return await self._connection.write(_note, schedule, progress, next_at)

    async def promote(self, schedule: Schedule, image_id: str, serial: str, now: datetime) -> list[str]:
        return await self._connection.write(_promote, schedule, image_id, serial, now)


def _create(db: Database, schedule: Schedule, most: int) -> None:
    count = "SELECT count(*) AS n FROM schedules WHERE project_id = ?"
    if next(iter(select(db, count, [schedule.project_id])))["n"] >= most:
        raise Conflict(reason=f"the project has {most} schedules, as many as it may")
    insert(db, "schedules", schedule_row(schedule))
    note_line(db, line_on(schedule, schedule.user_id, "scheduled", schedule.created_at))


def _find(db: Database, schedule_id: str, condition: scope.Condition) -> Schedule:
    where, arguments = condition
    sql = f"SELECT * FROM schedules WHERE id = :id AND {where}"  # noqa: S608 - our own condition
    for row in select(db, sql, {"id": schedule_id, **arguments}):
        return to_schedule(row)
    raise UnknownSchedule(id=schedule_id)


def _page(
    db: Database, condition: scope.Condition, most: tuple[int, int], marker: str | None
) -> Rows[Schedule]:
    start = None if marker is None else _find(db, marker, condition)
    sql, arguments = list_of(condition, most[0], start)
    return schedules_within(select(db, sql, arguments), *most)


def _remove(db: Database, schedule_id: str, actor: Actor) -> None:
    schedule = _find(db, schedule_id, scope.own_schedules(actor))
    db.execute("DELETE FROM schedules WHERE id = ?", [schedule_id])
    now = datetime.now(schedule.created_at.tzinfo)
    note_line(db, line_on(schedule, actor.user_id, "unscheduled", now))


def _edit(db: Database, schedule_id: str, actor: Actor, change: Callable[[Schedule], Schedule]) -> Schedule:
    before = _find(db, schedule_id, scope.own_schedules(actor))
    after = change(before)
    row = schedule_row(after)
    written = {name: row[name] for name in EDITED}
    columns = ", ".join(f"{name} = :{name}" for name in written)
    db.execute(f"UPDATE schedules SET {columns} WHERE id = :id", {**written, "id": schedule_id})  # noqa: S608 - ours
    now = datetime.now(before.created_at.tzinfo)
    if after.rules.name != before.rules.name:
        for image in list(select(db, NAMED, [schedule_id, before.rules.name])):
            _rename(db, image["id"], after.rules.name, now)
    if (after.rules, after.receiver) != (before.rules, before.receiver):
        note_line(db, line_on(after, actor.user_id, "rescheduled", now))
    return after


def _due(db: Database, now: str | None, too_late: str | None, limit: int) -> list[Schedule]:
    return [to_schedule(row) for row in select(db, DUE, [now, too_late, limit])]


def _note(db: Database, schedule: Schedule, progress: ScheduleProgress, next_at: datetime) -> bool:
    row = next(iter(select(db, "SELECT * FROM schedules WHERE id = ?", [schedule.id])), None)
    if row is None or not is_as_read(row, schedule):
        return False
    sql = "UPDATE schedules SET progress = ?, next_at = ? WHERE id = ?"
    db.execute(sql, [to_json(progress), to_text(next_at), schedule.id])
    return True


def _promote(db: Database, schedule: Schedule, image_id: str, serial: str, now: datetime) -> list[str]:
    there = "SELECT schedules.* FROM images JOIN schedules ON schedules.id = ? WHERE images.id = ?"
    found = next(iter(select(db, there, [schedule.id, image_id])), None)
    if found is None:
        return []  # The schedule or its new image was removed meanwhile: the old one keeps its name.
    there_now = to_schedule(found)
    if there_now.progress.import_id != schedule.progress.import_id:
        return []  # Another turn has overtaken this one.
    rules = there_now.rules
    row = [image_id, schedule.id, serial, to_text(now)]
    db.execute(
        "INSERT OR REPLACE INTO schedule_images (image_id, schedule_id, serial, at) VALUES (?, ?, ?, ?)", row
    )
    mine = """SELECT images.id, images.name, images.is_protected, schedule_images.serial
              FROM images JOIN schedule_images ON schedule_images.image_id = images.id
              WHERE schedule_id = ? AND images.id <> ? ORDER BY schedule_images.at DESC, images.id"""
    others = list(select(db, mine, [schedule.id, image_id]))
    for other in others:
        if other["name"] == rules.name:
            _rename(db, other["id"], retired_name(rules.name, other["serial"]), now)
        if rules.retire == "hide":
            db.execute("UPDATE images SET is_hidden = 1 WHERE id = ?", [other["id"]])
    _rename(db, image_id, rules.name, now)
    excess = others[rules.keep - 1 :] if rules.keep else []
    return [other["id"] for other in reversed(excess) if not other["is_protected"]]


def _rename(db: Database, image_id: str, name: str, now: datetime) -> None:
    db.execute("UPDATE images SET name = ?, updated_at = ? WHERE id = ?", [name, to_text(now), image_id])
    db.execute(f"UPDATE images SET text_bytes = {TEXT_BYTES} WHERE id = ?", [image_id])  # noqa: S608 - ours
