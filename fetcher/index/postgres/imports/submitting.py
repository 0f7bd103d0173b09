"""Submissions: those that come at the same moment are written in one transaction."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from fetcher.aio.supervisor import Tasks
from fetcher.errors import IdempotencyMismatch, QueueFull, Shortage
from fetcher.index import scope
from fetcher.index.import_rows import secrets_row
from fetcher.index.postgres.bookkeeping.audit import note
from fetcher.index.postgres.imports.images import take_image
from fetcher.index.postgres.imports.reading import one
from fetcher.index.postgres.outgoing.webhook_targets import notice_row
from fetcher.index.postgres.session import Connection, Session, insertion
from fetcher.index.rows import image_row, import_row, to_import
from fetcher.index.values import NewImport
from fetcher.model import Import

MOST_TOGETHER = 64

LOCK_KEYS = """SELECT pg_advisory_xact_lock(hashtextextended(name, 0))
    FROM (SELECT unnest(?::text[]) AS name ORDER BY 1) AS names"""
MADE_BEFORE = """SELECT kept.* FROM unnest(?::text[], ?::text[]) AS wanted (project_id, key)
    JOIN idempotency_keys AS kept USING (project_id, key)"""


async def submit(db: Session, news: Sequence[NewImport], max_queued: int) -> list[Import]:
    """Write new imports and their images, or find those that the same keys made before.

    All hosts take locks in this order, so that no two wait for each other: keys by their names, an image that
    was there, usage of projects by their ids, the queue, the trail.

    Args:
        news: No two with the same key; one alone may be for an image that is there.

    Returns:
        One import for each, in their order.

    Raises:
        Conflict: The image does not wait for bytes.
        IdempotencyMismatch: A key was used for something else.
        QueueFull: Not all may wait.
    """
    written = await _made_before(db, [new for new in news if new.key is not None])
    missing = [new for new in news if new.record.id not in written]
    for new in missing:
        if not new.record.owns_image:
            await take_image(db, new.record, "importing")
    if missing:
        rows = await db.select(*_all_rows(sorted(missing, key=lambda new: new.record.project_id)))
        await _check_queue(db, max_queued)
        made = {row["id"]: to_import(row) for row in rows}
        for new in missing:
            record = written[new.record.id] = made[new.record.id]
            await note(db, "submitted", record, {})
    return [written[new.record.id] for new in news]


def _all_rows(news: Sequence[NewImport]) -> tuple[str, dict[str, str]]:
    """Return the statement that writes all rows of new imports and reads them back, and its parameters.

    Rows go along as JSON: the statement is the same however many there are, and so is prepared once.
    """
    tables: dict[str, list[dict[str, Any]]] = {"imports": [], "import_secrets": []}
    for new in news:
        record, image = new.record, new.image
        tables["imports"].append(import_row(record, new.shown_url))
        tables["import_secrets"].append(secrets_row(record.id, new.secrets))
        if record.owns_image:
            tables.setdefault("images", []).append(image_row(image))
            tags = [{"image_id": image.id, "tag": tag} for tag in sorted(set(image.tags))]
            named = [
                {"image_id": image.id, "name": name, "value": value}
                for name, value in image.properties.items()
            ]
            tables.setdefault("image_tags", []).extend(tags)
            tables.setdefault("image_properties", []).extend(named)
        if new.webhook is not None:
            tables.setdefault("notices", []).append(notice_row(record, new.webhook))
        if new.key is not None:
            key = {"project_id": record.project_id, "import_id": record.id, **msgspec.structs.asdict(new.key)}
            tables.setdefault("idempotency_keys", []).append(key)
    filled = {table: rows for table, rows in tables.items() if rows}
    parts = [f"new_{table} AS ({insertion(table, list(rows[0]))})" for table, rows in filled.items()]
    sql = f"WITH {', '.join(parts)} SELECT * FROM new_imports"  # noqa: S608 - our own names
    return sql, {table: msgspec.json.encode(rows).decode() for table, rows in filled.items()}


async def _check_queue(db: Session, max_queued: int) -> None:
    """Refuse one import too many, this transaction's own counted; others that add some wait for its end.

    Raises:
        QueueFull: More imports wait than may.
    """
    [row] = await db.select("SELECT waiting_imports() AS waiting")
    if row["waiting"] > max_queued:
        raise QueueFull(scope="the service's queue", limit=max_queued)


async def _made_before(db: Session, news: Sequence[NewImport]) -> dict[str, Import]:
    """Return what keys made before, by the ids of those that were to be new."""
    wanted = {(new.record.project_id, new.key.key): new for new in news if new.key is not None}
    if not wanted:
        return {}
    await db.execute(LOCK_KEYS, [[f"key {project_id} {key}" for project_id, key in wanted]])
    projects, keys = zip(*wanted, strict=True)
    found = {}
    for row in await db.select(MADE_BEFORE, [list(projects), list(keys)]):
        new = wanted[row["project_id"], row["key"]]
        if new.key is not None and row["fingerprint"] != new.key.fingerprint:
            raise IdempotencyMismatch
        found[new.record.id] = to_import(await one(db, row["import_id"], (scope.EVERYTHING, {})))
    return found


class Submissions:
    """Writes what is submitted while others are written, together.

    A commit and the audit trail make all hosts wait for each other once for each transaction, whatever is in
    it. Where one of several is refused, each is written by itself, so that every refusal is its own.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[_Asked] = []
        self._is_writing = False
        self._tasks = Tasks()

    async def submit(self, new: NewImport, max_queued: int) -> Import:
        """Write a new import; it counts when this returns.

        Raises:
            Failure: As `submit` above, or the index cannot be written.
        """
        asked = _Asked(new, max_queued)
        self._waiting.append(asked)
        if not self._is_writing:
            self._is_writing = True
            self._tasks.start(self._write_all(), "write submissions")
        return await asked.answer

    async def _write_all(self) -> None:
        structlog.contextvars.clear_contextvars()  # Of whoever came first.
        try:
            while group := self._next_group():
                await self._write(group)
        finally:
            self._is_writing = False

    def _next_group(self) -> list["_Asked"]:
        """Take what may be in one transaction."""
        group: list[_Asked] = []
        left: list[_Asked] = []
        names: set[object] = set()
        for asked in self._waiting:
            if asked.answer.done():  # Whoever asked has gone.
                continue
            is_fit = not group or (
                len(group) < MOST_TOGETHER
                and asked.name not in names
                and asked.max_queued == group[0].max_queued
                and asked.new.record.owns_image
                and group[0].new.record.owns_image
            )
            (group if is_fit else left).append(asked)
            names.add(asked.name)
        self._waiting = left
        return group

    async def _write(self, group: "list[_Asked]") -> None:
        try:
            found = await self._connection.write(_submit, [asked.new for asked in group], group[0].max_queued)
        except Shortage as failure:  # It holds for each, and what was on its way to the database may count.
            _fail(group, failure)
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            if len(group) == 1:
                _fail(group, error)
                return
            for asked in group:
                await self._write([asked])
        else:
            for asked, record in zip(group, found, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(record)


async def _submit(db: Session, news: Sequence[NewImport], max_queued: int) -> list[Import]:
    """Write new imports, and tell the engine."""
    written = await submit(db, news, max_queued)
    ids = {new.record.id for new in news}
    await db.tell_queued([record.id for record in written if record.id in ids])
    return written


def _fail(group: "list[_Asked]", error: Exception) -> None:
    for asked in group:
        if not asked.answer.done():
            asked.answer.set_exception(error)


class _Asked:
    """A submission that waits to be written."""

    def __init__(self, new: NewImport, max_queued: int) -> None:
        self.new = new
        self.max_queued = max_queued
        self.name = (new.record.project_id, new.key.key) if new.key is not None else new.record.id
        self.answer: asyncio.Future[Import] = asyncio.get_running_loop().create_future()
