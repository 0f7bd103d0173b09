"""Records of images that are kept new."""

from collections.abc import Callable
from datetime import datetime

from fetcher.errors import Conflict, UnknownSchedule
from fetcher.index import scope
from fetcher.index.portable.session import Connection, Session
from fetcher.index.rows import to_json, to_text
from fetcher.index.schedule_rows import (
    DUE,
    EDITED,
    MAX_AHEAD,
    NAMED,
    is_as_read,
    line_on,
    list_of,
    retired_name,
    schedule_row,
    schedules_within,
    to_schedule,
)
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
        return await self._connection.read(_due, to_text(now), to_text(now + MAX_AHEAD), limit)

    async def note(self, schedule: Schedule, progress: ScheduleProgress, next_at: datetime) -> bool:
        return await self._connection.write(_note, schedule, progress, next_at)

    async def promote(self, schedule: Schedule, image_id: str, serial: str, now: datetime) -> list[str]:
        return await self._connection.write(_promote, schedule, image_id, serial, now)


async def _create(db: Session, schedule: Schedule, most: int) -> None:
    await db.lock_name(f"schedules {schedule.project_id}")
    count = "SELECT count(*) AS n FROM schedules WHERE project_id = ?"
    [row] = await db.select(count, [schedule.project_id])
    if row["n"] >= most:
        raise Conflict(reason=f"the project has {most} schedules, as many as it may")
    await db.insert("schedules", schedule_row(schedule))
    await db.note_line(line_on(schedule, schedule.user_id, "scheduled", schedule.created_at))


async def _find(db: Session, schedule_id: str, condition: scope.Condition, lock: str = "") -> Schedule:
    where, arguments = condition
    sql = f"SELECT * FROM schedules WHERE id = :id AND {where} {lock}"  # noqa: S608 - our own condition
    for row in await db.select(sql, {"id": schedule_id, **arguments}):
        return to_schedule(row)
    raise UnknownSchedule(id=schedule_id)


async def _page(
    db: Session, condition: scope.Condition, most: tuple[int, int], marker: str | None
) -> Rows[Schedule]:
    start = None if marker is None else await _find(db, marker, condition)
    sql, arguments = list_of(condition, most[0], start)
    return schedules_within(await db.select(sql, arguments), *most)


async def _remove(db: Session, schedule_id: str, actor: Actor) -> None:
    schedule = await _find(db, schedule_id, scope.own_schedules(actor), db.dialect.row_lock)
    await db.execute("DELETE FROM schedules WHERE id = ?", [schedule_id])
    now = datetime.now(schedule.created_at.tzinfo)
    await db.note_line(line_on(schedule, actor.user_id, "unscheduled", now))


async def _edit(
    db: Session, schedule_id: str, actor: Actor, change: Callable[[Schedule], Schedule]
) -> Schedule:
    before = await _find(db, schedule_id, scope.own_schedules(actor), db.dialect.row_lock)
    after = change(before)
    row = schedule_row(after)
    written = {name: row[name] for name in EDITED}
    columns = ", ".join(f"{name} = :{name}" for name in written)
    sql = f"UPDATE schedules SET {columns} WHERE id = :id"  # noqa: S608 - our own names
    await db.execute(sql, {**written, "id": schedule_id})
    now = datetime.now(before.created_at.tzinfo)
    if after.rules.name != before.rules.name:
        for image in await db.select(NAMED, [schedule_id, before.rules.name]):
            await _rename(db, image["id"], after.rules.name, now)
    if (after.rules, after.receiver) != (before.rules, before.receiver):
        await db.note_line(line_on(after, actor.user_id, "rescheduled", now))
    return after


async def _due(db: Session, now: str | None, too_late: str | None, limit: int) -> list[Schedule]:
    return [to_schedule(row) for row in await db.select(DUE, [now, too_late, limit])]


async def _note(db: Session, schedule: Schedule, progress: ScheduleProgress, next_at: datetime) -> bool:
    sql = f"SELECT * FROM schedules WHERE id = ? {db.dialect.row_lock}"  # noqa: S608 - our own words
    rows = await db.select(sql, [schedule.id])
    if not rows or not is_as_read(rows[0], schedule):
        return False
    sql = "UPDATE schedules SET progress = ?, next_at = ? WHERE id = ?"
    await db.execute(sql, [to_json(progress), to_text(next_at), schedule.id])
    return True


async def _promote(db: Session, schedule: Schedule, image_id: str, serial: str, now: datetime) -> list[str]:
    there = f"""SELECT schedules.* FROM images JOIN schedules ON schedules.id = ?
                WHERE images.id = ? {db.dialect.row_lock}"""  # noqa: S608 - our own words
    found = await db.select(there, [schedule.id, image_id])
    if not found:
        return []  # The schedule or its new image was removed meanwhile: the old one keeps its name.
    there_now = to_schedule(found[0])
    if there_now.progress.import_id != schedule.progress.import_id:
        return []  # Another turn has overtaken this one.
    rules = there_now.rules
    sql = """INSERT INTO schedule_images (image_id, schedule_id, serial, at) VALUES (?, ?, ?, ?)
             ON CONFLICT (image_id) DO UPDATE SET
                 schedule_id = excluded.schedule_id, serial = excluded.serial, at = excluded.at"""
    await db.execute(sql, [image_id, schedule.id, serial, to_text(now)])
    mine = """SELECT images.id, images.name, images.is_protected, schedule_images.serial
              FROM images JOIN schedule_images ON schedule_images.image_id = images.id
              WHERE schedule_id = ? AND images.id <> ? ORDER BY schedule_images.at DESC, images.id"""
    others = await db.select(mine, [schedule.id, image_id])
    for other in others:
        if other["name"] == rules.name:
            await _rename(db, other["id"], retired_name(rules.name, other["serial"]), now)
        if rules.retire == "hide":
            await db.execute("UPDATE images SET is_hidden = 1 WHERE id = ?", [other["id"]])
    await _rename(db, image_id, rules.name, now)
    excess = others[rules.keep - 1 :] if rules.keep else []
    return [other["id"] for other in reversed(excess) if not other["is_protected"]]


async def _rename(db: Session, image_id: str, name: str, now: datetime) -> None:
    sql = "UPDATE images SET name = ?, updated_at = ? WHERE id = ?"
    await db.execute(sql, [name, to_text(now), image_id])
    await db.execute(f"UPDATE images SET text_bytes = {db.dialect.text_bytes} WHERE id = ?", [image_id])  # noqa: S608 - ours
