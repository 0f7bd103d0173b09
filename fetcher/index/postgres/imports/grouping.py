"""Submissions that come while others are written: they wait, and are one transaction."""

import asyncio
from collections.abc import Sequence

import structlog

from fetcher.aio.supervisor import Tasks
from fetcher.errors import Shortage
from fetcher.index.postgres.imports.submitting import Answer, submit
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.values import NewImport
from fetcher.model import Import

MOST_TOGETHER = 64
# Before all other locks, so that those who come while this host waits for it are in its transaction.
IN_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('submissions', 0))"


class Submissions:
    """Writes what is submitted while others are written, together.

    A commit and the audit trail make all hosts wait for each other once for each transaction, whatever is in
    it: hosts take turns, and who comes while others have theirs is in the same transaction. A refusal is one
    answer among those of the others. Where the database itself refuses a transaction, each is written by
    itself, so that one fault is not everybody's.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[_Asked] = []
        self._is_writing = False
        self._tasks = Tasks()

    async def submit(self, new: NewImport, max_queued: int) -> Import:
        """Write a new import; it counts when this returns.

        Raises:
            Failure: It is refused, or the index cannot be written.
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
            while self._waiting:
                await self._write([])
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
        """Write a group; an empty one is of those who wait when this host has its turn."""

        async def work(db: Session) -> list[Answer]:
            await db.execute(IN_TURN)
            if not group:
                group.extend(self._next_group())
            return await _submit(db, group) if group else []

        try:
            answers = await self._connection.write(work)
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            await self._fail(group or self._next_group(), error)
        else:
            for asked, answer in zip(group, answers, strict=True):
                asked.give(answer)

    async def _fail(self, group: "list[_Asked]", error: Exception) -> None:
        # A shortage holds for each, and what was on its way to the database may count.
        if len(group) > 1 and not isinstance(error, Shortage):
            for asked in group:
                await self._write([asked])
        else:
            for asked in group:
                asked.give(error)


async def _submit(db: Session, group: "Sequence[_Asked]") -> list[Answer]:
    """Write new imports, and tell the engine."""
    news = [asked.new for asked in group]
    answers = await submit(db, news, group[0].max_queued)
    ids = {new.record.id for new in news}
    await db.tell_queued([one.id for one in answers if isinstance(one, Import) and one.id in ids])
    return answers


class _Asked:
    """A submission that waits to be written."""

    def __init__(self, new: NewImport, max_queued: int) -> None:
        self.new = new
        self.max_queued = max_queued
        self.name = (new.record.project_id, new.key.key) if new.key is not None else new.record.id
        self.answer: asyncio.Future[Import] = asyncio.get_running_loop().create_future()

    def give(self, answer: Import | Exception) -> None:
        """Answer whoever asked, unless they have gone."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)
