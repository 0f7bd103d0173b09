"""The exports of each project within a day: counted once, then kept up as they are made and grow old."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlite_utils.db import Database

from fetcher.index.export_rows import OLDEST, PASSED, RECENT
from fetcher.index.rows import to_text
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Export

MAX_PROJECTS = 1000
# Then it is counted anew: what was counted and then taken back with its transaction is not held against
# anybody for longer.
ANEW = timedelta(minutes=10)


class _DayTotal(msgspec.Struct):
    """The exports that one project has made since a moment of yesterday."""

    since: datetime
    counted_at: datetime
    made: int
    size: int


class Day:
    """The number and bytes of what projects sent within a day, without reading all of it for each submission.

    All but `drop` is for the writer's thread.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _DayTotal] = {}
        self._version = -1

    def row(self, db: Database, project_id: str, since: datetime) -> dict[str, Any]:
        """Return what `RECENT` returns; only what has grown too old since the last call is read."""
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._version:  # Another connection has written.
            self._kept.clear()
            self._version = version
        kept = self._kept.get(project_id)
        if kept is None or not kept.since <= since < kept.counted_at + ANEW:
            kept = _counted(db, project_id, since)
        elif since > kept.since:
            arguments = [project_id, to_text(kept.since), to_text(since)]
            for gone in select(db, PASSED, arguments):
                kept = _DayTotal(since, kept.counted_at, kept.made - gone["made"], kept.size - gone["bytes"])
        if len(self._kept) >= MAX_PROJECTS:
            self._kept.clear()
        self._kept[project_id] = kept
        (oldest,) = db.execute(OLDEST, [project_id, to_text(since)]).fetchone()
        return {"made": kept.made, "bytes": kept.size, "oldest": oldest}

    def add(self, export: Export) -> None:
        """Count an export that is being written."""
        kept = self._kept.get(export.project_id)
        if kept is not None and export.created_at > kept.since:
            kept.made += 1
            kept.size += export.size

    def drop(self, project_id: str) -> None:
        """Count a project's anew the next time: a row of it has changed, or may not be there."""
        self._kept.pop(project_id, None)

    def clear(self) -> None:
        """Likewise for all: rows were removed."""
        self._kept.clear()


def _counted(db: Database, project_id: str, since: datetime) -> _DayTotal:
    (row,) = select(db, RECENT, [project_id, to_text(since)])
    return _DayTotal(since, since, row["made"], row["bytes"])
