"""Usage of each project, and the one place where a quota is enforced: at the end of every write."""

from collections.abc import Callable
from functools import cache

from sqlite_utils.db import Database

from fetcher.errors import QuotaExceeded
from fetcher.index.sqlite.connection import Connection
from fetcher.index.values import Quota, Usage

BUSY = "status IN ('importing', 'saving', 'uploading')"


class QuotaCheck:
    """Refuses every write that makes a project hold more than it may.

    The tables count by themselves; a temporary trigger notes which projects
    grew in a write, so that no verb can forget to ask, and races are decided
    by the one writer.

    Args:
        quota_of: Given a project's id, its quota in force now.
    """

    def __init__(self, quota_of: Callable[[str], Quota]) -> None:
        self._quota_of = quota_of

    def prepare(self, db: Database) -> None:
        """Watch the counts on the writer's connection."""
        db.execute(
            "CREATE TEMP TABLE grown (project_id TEXT PRIMARY KEY, images INTEGER, bytes INTEGER, "
            "text_bytes INTEGER)"
        )
        db.execute(
            """CREATE TEMP TRIGGER grew AFTER UPDATE ON main.usage
               WHEN NEW.images > OLD.images OR NEW.bytes + NEW.held_bytes > OLD.bytes + OLD.held_bytes
                   OR NEW.text_bytes > OLD.text_bytes
               BEGIN INSERT INTO grown SELECT NEW.project_id, OLD.images,
                   OLD.bytes + OLD.held_bytes, OLD.text_bytes
               WHERE NOT EXISTS (SELECT 1 FROM grown WHERE project_id = NEW.project_id); END"""
        )
        db.execute(
            """CREATE TEMP TRIGGER appeared AFTER INSERT ON main.usage
               BEGIN INSERT INTO grown SELECT NEW.project_id, 0, 0, 0
               WHERE NOT EXISTS (SELECT 1 FROM grown WHERE project_id = NEW.project_id); END"""
        )

        db.execute("CREATE TEMP TABLE begun (project_id TEXT PRIMARY KEY)")
        for event, old in (("INSERT", ""), ("UPDATE OF status", f"AND NOT OLD.{BUSY}")):
            db.execute(
                f"""CREATE TEMP TRIGGER busy_{event[:6]} AFTER {event} ON main.images
                    WHEN NEW.{BUSY} {old} BEGIN INSERT INTO begun SELECT NEW.project_id
                    WHERE NOT EXISTS (SELECT 1 FROM begun WHERE project_id = NEW.project_id); END"""  # noqa: S608 - the constants above
            )
        _count_busy(db)
        db.execute(
            """CREATE TEMP TRIGGER staged AFTER INSERT ON main.image_stages
               BEGIN INSERT INTO begun SELECT project_id FROM main.images WHERE id = NEW.image_id
               AND NOT EXISTS (SELECT 1 FROM begun WHERE begun.project_id = images.project_id); END"""
        )

    def check(self, db: Database) -> None:
        """Judge the write that was just made; it is rolled back when this raises.

        Raises:
            QuotaExceeded: A project that grew holds more than it may.
        """
        quota_of = cache(self._quota_of)  # A project that grew has often begun something, too.
        self._check_begun(db, quota_of)
        sql = """SELECT grown.*, usage.images AS images_now, usage.bytes + usage.held_bytes AS bytes_now,
                        usage.text_bytes AS text_now
                 FROM grown JOIN usage USING (project_id)"""
        found = db.execute(sql).fetchall()
        if not found:
            return
        db.execute("DELETE FROM grown")
        for project_id, images, size, text, images_now, bytes_now, text_now in found:
            quota = quota_of(project_id)
            if images_now > quota.max_images and images_now > images:
                raise QuotaExceeded(what="images", quota=quota.max_images, used=images)
            if bytes_now > quota.max_bytes and bytes_now > size:
                raise QuotaExceeded(what="bytes", quota=quota.max_bytes, used=size)
            if text_now > quota.max_text_bytes and text_now > text:
                raise QuotaExceeded(what="bytes of text", quota=quota.max_text_bytes, used=text)
            if images_now > images and size >= quota.max_bytes:
                raise QuotaExceeded(what="bytes", quota=quota.max_bytes, used=size)

    def _check_begun(self, db: Database, quota_of: Callable[[str], Quota]) -> None:
        """Judge what was begun: how many images a project writes at once, and how much it has staged."""
        found = db.execute("SELECT project_id FROM begun").fetchall()
        if not found:
            return
        db.execute("DELETE FROM begun")
        for (project_id,) in found:
            quota = quota_of(project_id)
            if quota.max_uploading is not None and (uploading := _busy(db, project_id)) > quota.max_uploading:
                what = "images that are written at the same time"
                raise QuotaExceeded(what=what, quota=quota.max_uploading, used=uploading - 1)
            if (
                quota.max_staged_bytes is not None
                and (staged := _staged(db, project_id)) > quota.max_staged_bytes
            ):
                raise QuotaExceeded(what="staged bytes", quota=quota.max_staged_bytes, used=staged)


def _busy(db: Database, project_id: str) -> int:
    """Return what the triggers counted of a project; on the writer's connection."""
    row = db.execute("SELECT images FROM temp.busy WHERE project_id = ?", [project_id]).fetchone()
    return 0 if row is None else int(row[0])


def _uploading(db: Database, project_id: str) -> int:
    """Count images that are written now, those of waiting imports among them."""
    sql = f"SELECT count(*) FROM images INDEXED BY images_by_status WHERE {BUSY} AND project_id = ?"  # noqa: S608 - our own condition
    return int(db.execute(sql, [project_id]).fetchone()[0])


def _staged(db: Database, project_id: str) -> int:
    sql = "SELECT ifnull(sum(size), 0) FROM image_stages WHERE project_id = ?"
    return int(db.execute(sql, [project_id]).fetchone()[0])


def _count_busy(db: Database) -> None:
    """Count the images that are written now once, and have triggers go on: waiting imports have one each."""
    db.execute("CREATE TEMP TABLE busy (project_id TEXT PRIMARY KEY, images INTEGER NOT NULL)")
    db.execute(
        f"INSERT INTO temp.busy SELECT project_id, count(*) FROM main.images WHERE {BUSY} GROUP BY project_id"  # noqa: S608 - our own condition
    )
    more = "INSERT INTO busy VALUES (NEW.project_id, 1) ON CONFLICT DO UPDATE SET images = images + 1"
    less = "UPDATE busy SET images = images - 1 WHERE project_id = OLD.project_id"
    moved = "(NEW.status <> OLD.status OR NEW.project_id <> OLD.project_id)"
    for name, event, condition, change in (
        ("busy_more", "INSERT", f"NEW.{BUSY}", more),
        ("busy_now", "UPDATE OF status, project_id", f"{moved} AND NEW.{BUSY}", more),
        ("busy_no_more", "UPDATE OF status, project_id", f"{moved} AND OLD.{BUSY}", less),
        ("busy_less", "DELETE", f"OLD.{BUSY}", less),
    ):
        db.execute(
            f"CREATE TEMP TRIGGER {name} AFTER {event} ON main.images WHEN {condition} BEGIN {change}; END"
        )


class UsageRecords:
    """Domain verbs on what projects hold."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, project_id: str) -> Usage:
        return await self._connection.read(_find, project_id)

    async def bytes_of(self, project_id: str) -> int:
        return await self._connection.read(bytes_of, project_id)


def _find(db: Database, project_id: str) -> Usage:
    row = db.execute(
        "SELECT images, bytes, held_bytes FROM usage WHERE project_id = ?", [project_id]
    ).fetchone()
    if row is None:
        return Usage()
    images, size, held_bytes = row
    return Usage(
        images=images,
        bytes=size,
        held_bytes=held_bytes,
        uploading=_uploading(db, project_id),
        staged_bytes=_staged(db, project_id),
    )


def bytes_of(db: Database, project_id: str) -> int:
    """Return the bytes of a project's images alone."""
    row = db.execute("SELECT bytes FROM usage WHERE project_id = ?", [project_id]).fetchone()
    return 0 if row is None else int(row[0])
