"""Submissions that come while others are written: they wait, and are one transaction."""

import asyncio
from collections.abc import Sequence

import structlog

from fetcher.aio.supervisor import Tasks
from fetcher.errors import Shortage
from fetcher.index.postgres.imports.judging import Turn
from fetcher.index.postgres.imports.submitting import Answer, submit, submit_all
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.values import NewImport
from fetcher.model import Import

MAX_TOGETHER = 64


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
        structlog.contextvars.clear_contextvars()  # Of the first caller.
        try:
            while self._waiting:
                await self._write([])
        finally:
            self._is_writing = False

    def _gather(self, group: "list[_Asked]", projects: set[str] | None = None) -> None:
        """Take what may be in one transaction into a group.

        Args:
            projects: Only theirs, where it is too late for others.
        """
        group[:] = [asked for asked in group if not asked.answer.done()]  # Others have gone.
        names: set[object] = {asked.name for asked in group}
        left: list[_Asked] = []
        for asked in self._waiting:
            if asked.answer.done():
                continue
            is_fit = projects is None or asked.project_id in projects
            (group if is_fit and asked.goes_with(group, names) else left).append(asked)
            names.add(asked.name)
        self._waiting = left

    async def _write(self, group: "list[_Asked]") -> None:
        """Write a group; an empty one is of those who wait, and who come before this host has its turn."""
        is_open = not group
        if is_open:
            self._gather(group)
        try:
            answers = await self._connection.write(self._take_turn, group, is_open=is_open) if group else []
        except Exception as error:  # noqa: BLE001 - raised to each caller
            await self._fail(group, error)
        else:
            for asked, answer in zip(group, answers, strict=True):
                asked.give(answer)

    async def _take_turn(self, db: Session, group: "list[_Asked]", *, is_open: bool) -> list[Answer]:
        """Write a group, which others join until it is written if it is open."""
        if not group:  # All have gone, and this is tried again.
            return []
        first = group[0]
        if not first.new.record.owns_image:
            return await _announce(db, [first.new], [await submit(db, first.new, first.max_queued)])
        projects = {asked.project_id for asked in group}
        turn = await Turn.take(db, projects, first.max_queued)
        if is_open:
            self._gather(group, projects)
        news = [asked.new for asked in group]
        return await _announce(db, news, await submit_all(db, turn, news))

    async def _fail(self, group: "list[_Asked]", error: Exception) -> None:
        # A shortage holds for each, and what was on its way to the database may count.
        if len(group) > 1 and not isinstance(error, Shortage):
            for asked in group:
                await self._write([asked])
        else:
            for asked in group:
                asked.give(error)


async def _announce(db: Session, news: Sequence[NewImport], answers: list[Answer]) -> list[Answer]:
    """Announce the imports that were queued by this write to the engine, and return the answers."""
    ids = {new.record.id for new in news}
    await db.announce_queued([one.id for one in answers if isinstance(one, Import) and one.id in ids])
    return answers


class _Asked:
    """A submission that waits to be written."""

    def __init__(self, new: NewImport, max_queued: int) -> None:
        self.new = new
        self.max_queued = max_queued
        self.name = (new.record.project_id, new.key.key) if new.key is not None else new.record.id
        self.answer: asyncio.Future[Import] = asyncio.get_running_loop().create_future()

    @property
    def project_id(self) -> str:
        return self.new.record.project_id

    def goes_with(self, group: "list[_Asked]", names: set[object]) -> bool:
        """Return whether it may be in the transaction of a group that has these names."""
        if not group:
            return True
        first = group[0]
        return (
            len(group) < MAX_TOGETHER
            and self.name not in names
            and self.max_queued == first.max_queued
            and self.new.record.owns_image
            and first.new.record.owns_image
        )

    def give(self, answer: Import | Exception) -> None:
        """Answer the caller, unless it has gone."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)
