"""Schedules to rows and back, the same in every index."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from fetcher.index import scope
from fetcher.index.rows import ROW_BYTES, Row, fitting, to_json, to_text
from fetcher.index.values import Rows, Schedule, ScheduleProgress, ScheduleRules, WebhookTarget

MAX_NAME = 255
MAX_AHEAD = timedelta(
    days=367
)  # Beyond the longest interval: the clock was wrong when such a turn was noted.
DUE = "SELECT * FROM schedules WHERE next_at <= ? OR next_at > ? ORDER BY next_at LIMIT ?"
EDITED = ("rules", "progress", "next_at", "receiver")
NAMED = """SELECT images.id FROM images JOIN schedule_images ON schedule_images.image_id = images.id
           WHERE schedule_id = ? AND images.name = ?"""


def schedule_row(schedule: Schedule) -> dict[str, Any]:
    """Return all columns of a schedule."""
    return {
        "id": schedule.id,
        "project_id": schedule.project_id,
        "user_id": schedule.user_id,
        "rules": to_json(schedule.rules),
        "progress": to_json(schedule.progress),
        "next_at": to_text(schedule.next_at),
        "receiver": None if schedule.receiver is None else to_json(schedule.receiver),
        "created_at": to_text(schedule.created_at),
    }


def list_of(condition: scope.Condition, limit: int, start: Schedule | None) -> tuple[str, dict[str, object]]:
    """Return the statement that reads the oldest schedules after a marker."""
    where, arguments = condition
    arguments = {**arguments, "limit": limit + 1}
    if start is not None:
        where += " AND (created_at, id) > (:created_at, :marker)"
        arguments |= {"created_at": to_text(start.created_at), "marker": start.id}
    return f"SELECT * FROM schedules WHERE {where} ORDER BY created_at, id LIMIT :limit", arguments  # noqa: S608 - our own conditions


def schedules_within(rows: Iterable[Row], limit: int, max_bytes: int) -> Rows[Schedule]:
    """Read schedules back until they are so many or hold so many bytes; one at least."""
    some = fitting(rows, _size, max_bytes)
    found = Rows(to_schedule(row) for row in some[:limit])
    found.has_more = some.has_more or len(some) > limit
    return found


def _size(row: Row) -> int:
    return ROW_BYTES + sum(len(row[name] or "") for name in ("rules", "progress", "receiver"))


def to_schedule(row: Row) -> Schedule:
    """Read a schedule back."""
    return Schedule(
        id=row["id"],
        project_id=row["project_id"],
        user_id=row["user_id"],
        rules=msgspec.json.decode(row["rules"], type=ScheduleRules),
        progress=msgspec.json.decode(row["progress"], type=ScheduleProgress),
        next_at=datetime.fromisoformat(row["next_at"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        receiver=msgspec.json.decode(row["receiver"], type=WebhookTarget) if row["receiver"] else None,
    )


def is_as_read(row: Row, schedule: Schedule) -> bool:
    """Return whether nobody has edited a schedule, or taken its turn, since it was read."""
    now = to_schedule(row)
    return (now.rules, now.progress, now.next_at) == (schedule.rules, schedule.progress, schedule.next_at)


def line_on(schedule: Schedule, user_id: str, action: str, now: datetime) -> dict[str, Any]:
    """Return the line of the audit trail that records what was done to a schedule."""
    detail = {"schedule": schedule.id, "catalogue": schedule.rules.catalogue, "name": schedule.rules.name}
    line = {"at": to_text(now), "project_id": schedule.project_id, "user_id": user_id, "action": action}
    return {**line, "detail": to_json(detail)}


def retired_name(name: str, serial: str) -> str:
    """Return what an image is called that is not the newest one any more."""
    end = f" ({serial})"
    return f"{name[: MAX_NAME - len(end)]}{end}"
