"""Usage of each project, and the one place where a quota is enforced: at the end of every write."""

from collections.abc import Callable

from sqlite_utils.db import Database

from fetcher.errors import QuotaExceeded
from fetcher.index.sqlite.connection import Connection
from fetcher.index.values import Quota, Usage

BUSY = "status IN ('importing', 'saving', 'uploading')"


class QuotaCheck:
    """Refuses every write that makes a project hold more than it may.

    The tables count by themselves; a temporary trigger shows which projects
    grew in a write, so that no verb can forget to ask, and races are decided
    by the one writer.

    Args:
        quota_of: Given a project's id, its quota in force now.
    """

    def __init__(self, quota_of: Callable[[str], Quota]) -> None:
        self._quota_of = quota_of
        self._grown: dict[str, tuple[int, int, int]] = {}  # What each held before the write.
        self._begun: set[str] = set()

    def prepare(self, db: Database) -> None:
        """Watch the counts on the writer's connection."""
        db.conn.create_function("note_grown", 4, self._note_grown)
        db.conn.create_function("note_begun", 1, self._note_begun)
        db.execute(
            """CREATE TEMP TRIGGER grew AFTER UPDATE ON main.usage
               WHEN NEW.images > OLD.images OR NEW.bytes + NEW.held_bytes > OLD.bytes + OLD.held_bytes
                   OR NEW.text_bytes > OLD.text_bytes
               BEGIN SELECT note_grown(NEW.project_id, OLD.images,
                   OLD.bytes + OLD.held_bytes, OLD.text_bytes); END"""
        )
        db.execute(
            """CREATE TEMP TRIGGER appeared AFTER INSERT ON main.usage
               BEGIN SELECT note_grown(NEW.project_id, 0, 0, 0); END"""
        )
        for event, old in (("INSERT", ""), ("UPDATE OF status", f"AND NOT OLD.{BUSY}")):
            db.execute(
                f"""CREATE TEMP TRIGGER busy_{event[:6]} AFTER {event} ON main.images
                    WHEN NEW.{BUSY} {old} BEGIN SELECT note_begun(NEW.project_id); END"""
            )
        _count_busy(db)
        db.execute(
            """CREATE TEMP TRIGGER staged AFTER INSERT ON main.image_stages
               BEGIN SELECT note_begun(project_id) FROM main.images WHERE id = NEW.image_id; END"""
        )

    def _note_grown(self, project_id: str, images: int, size: int, text: int) -> None:
        self._grown.setdefault(project_id, (images, size, text))

    def _note_begun(self, project_id: str) -> None:
        self._begun.add(project_id)

    def forget(self) -> None:
        """Judge nothing of a write that was taken back."""
        self._grown, self._begun = {}, set()

    def check(self, db: Database) -> None:
        """Judge the write that was just made; it is rolled back when this raises.

        Raises:
            QuotaExceeded: A project that grew holds more than it may.
        """
        grown, begun = self._grown, self._begun
        if not grown and not begun:
            return
        self.forget()
        quotas = {project_id: self._quota_of(project_id) for project_id in begun | grown.keys()}
        for project_id in begun:
            _check_begun(db, project_id, quotas[project_id])
        for project_id, before in grown.items():
            _check_grown(db, project_id, before, quotas[project_id])


def _check_grown(db: Database, project_id: str, before: tuple[int, int, int], quota: Quota) -> None:
    """Judge what a project holds now beside what it held."""
    sql = "SELECT images, bytes + held_bytes, text_bytes FROM usage WHERE project_id = ?"
    found = db.conn.execute(sql, [project_id]).fetchone()
    if found is None:
        return
    (images, size, text), (images_now, bytes_now, text_now) = before, found
    if images_now > quota.max_images and images_now > images:
        raise QuotaExceeded(what="images", quota=quota.max_images, used=images)
    if bytes_now > quota.max_bytes and bytes_now > size:
        raise QuotaExceeded(what="bytes", quota=quota.max_bytes, used=size)
    if text_now > quota.max_text_bytes and text_now > text:
        raise QuotaExceeded(what="bytes of text", quota=quota.max_text_bytes, used=text)
    if images_now > images and size >= quota.max_bytes:
        raise QuotaExceeded(what="bytes", quota=quota.max_bytes, used=size)


def _check_begun(db: Database, project_id: str, quota: Quota) -> None:
    """Judge what was begun: how many images a project writes at once, and how much it has staged."""
    if quota.max_uploading is not None and (uploading := _busy(db, project_id)) > quota.max_uploading:
        what = "images that are written at the same time"
        raise QuotaExceeded(what=what, quota=quota.max_uploading, used=uploading - 1)
    if quota.max_staged_bytes is not None and (staged := _staged(db, project_id)) > quota.max_staged_bytes:
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
