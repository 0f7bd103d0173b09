"""All pulls of this process: who waits for a slot, who joins a pull that is going on, who leaves."""

import asyncio
from contextlib import nullcontext

import structlog

from fetcher.aio.shield import shielded
from fetcher.aio.supervisor import Tasks, start_logged
from fetcher.engine.values import Elsewhere
from fetcher.errors import Cancelled
from fetcher.ids import new_id
from fetcher.importer.context import Context
from fetcher.importer.job import DownloadJob
from fetcher.importer.joining import Joining
from fetcher.importer.news import News
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.schedule.cluster_slots import ClusterSlots
from fetcher.importer.schedule.connections import Connections
from fetcher.importer.schedule.queue import MAX_FOLLOWERS, FairQueue, Slot, Ticket
from fetcher.importer.tracing import span
from fetcher.index.values import NewImport, ResumeState
from fetcher.lifecycle import Event
from fetcher.model import Import

log = structlog.get_logger()

# Imports that join pulls at a time: whatever else is written, the next submission say, waits behind no more.
MAX_ENTERING = 2 * MAX_FOLLOWERS


class Scheduler:
    """Starts pulls as slots become free, and lets equal requests share one.

    Attributes:
        queue: Who waits.
        news: Wakes those who follow imports.
        running_imports: Those that run now, those whose bytes are being sent to us too, by their ids.
        places: The pull of each of them that has one.
        sent: The tasks of imports whose bytes are being sent to us.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue = FairQueue()
        self.news = News()
        self.running_imports: dict[str, RunningImport] = {}
        self.sent: dict[str, asyncio.Task[None]] = {}
        self.connections = Connections(
            self.queue,
            lambda: context.current.settings.imports,
            context.current.settings.ranges.buffer_bytes,
            self._start_next,
        )
        self._pulls: dict[Slot, DownloadJob] = {}
        self._tasks: dict[DownloadJob, asyncio.Task[None]] = {}
        self._joins = Tasks()
        self._shared = ClusterSlots(context.engine, self._joins, self.connections)
        self._joining = Joining(context, self._shared, self._joins, self)
        self.places: dict[str, DownloadJob] = {}
        self._resume_state: dict[str, ResumeState] = {}
        self._is_open = False
        self._next_entering: asyncio.Handle | None = None

    def take_up(self, resume_state: dict[str, ResumeState]) -> None:
        """Go on with these, once somebody asks for the same."""
        self._resume_state = dict(resume_state)

    def open(self) -> None:
        """Begin to start pulls."""
        self._is_open = True
        self._dispatch()

    def add(self, ticket: Ticket) -> None:
        """Let an import wait for its turn."""
        self.queue.add(ticket)
        self._dispatch()

    async def submit(self, new: NewImport, ticket: Ticket, max_queued: int) -> Import:
        """Write a new import; one that need not wait is claimed for its pull in the same transaction.

        Returns:
            The import as it was submitted, or the one that the same key made before.
        """
        pull = self._start_at_once(ticket)
        if pull is None:
            record = await self._context.index.imports.submit(new, max_queued=max_queued)
            if record.id == ticket.import_id:
                self.add(ticket)
            return record
        return await self._joining.begin(pull, ticket, new, max_queued)

    def _start_at_once(self, ticket: Ticket) -> DownloadJob | None:
        """Return the pull that a new import joins now, if it need not wait for its turn."""
        caps = self._context.current.settings.imports
        if not self._is_open or self._context.engine.is_shared or self.queue.running >= caps.max_running:
            return None
        slot = None if self.connections.waiting.waiting else self.queue.begin(ticket, caps)
        if slot is not None:
            return self._enlist(slot, ticket)
        self.queue.add(ticket)
        started = self._dispatch(at_once=ticket.import_id)
        if started is None:
            self.queue.drop(ticket.import_id)
        return started

    def running(self, import_id: str) -> RunningImport | None:
        """Return an import that runs now."""
        return self.running_imports.get(import_id)

    def knows(self, import_id: str) -> bool:
        """Return whether an import waits here, runs here or is on its way from the one to the other."""
        return (
            import_id in self.queue
            or import_id in self._joining.expected
            or import_id in self.running_imports
        )

    def see(self, elsewhere: Elsewhere) -> None:
        """Count what the pulls of other hosts take, and start what may start now."""
        self.queue.see(elsewhere)
        self._shared.notify()
        self._dispatch()

    def counts(self) -> dict[str, int]:
        """Return how many imports wait and run; those on their way from the one to the other run."""
        running = {
            import_id
            for import_id, running in self.running_imports.items()
            if not running.record.state.is_final
        }
        return {"queued": len(self.queue), "running": len(running | self._joining.expected)}

    async def cancel(self, record: Import) -> None:
        """Let go of an import that was cancelled; when this returns, nothing of it is left."""
        self.queue.drop(record.id)
        running = self.running_imports.get(record.id)
        if running is not None and not running.record.state.is_final:
            verdict = record.verdict or verdict_of(Cancelled())
            running.take(running.record.ended(Event.CANCEL, verdict, record.updated_at))
        if record.id in self.sent:
            await _end({self.sent[record.id]})
        pull = self.places.get(record.id)
        if pull is not None and pull.members.leave(record.id):
            await _end({self._tasks[pull]})
        self.news.notify(record.id)

    async def lose(self, import_id: str) -> None:
        """Let go of an import that another host runs now; when this returns, nothing of it is left here."""
        if import_id in self.sent:
            await _end({self.sent[import_id]})
        pull = self.places.get(import_id)
        if pull is not None and pull.members.leave(import_id, is_lost=True):
            pull.lose()
            await _end({self._tasks[pull]})
        self.forget(import_id)

    async def close(self, grace_seconds: float) -> None:
        """Start nothing more, let pulls finish for a while, then park the rest."""
        self._is_open = False
        self._shared.close()
        self.news.notify_all()
        for running in self.running_imports.values():
            running.notify()
        tasks = {*self._tasks.values(), *self._joins.running, *self.sent.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=grace_seconds)
        for pull in self._tasks:
            pull.park()
        await _end({*self._joins.running, *self.sent.values()})
        await _end({*self._tasks.values()})

    def release(self, slot: Slot) -> None:
        """Free a slot, and give it to the next waiter."""
        self.queue.release(slot)
        self._dispatch()

    def _start_next(self) -> None:
        """Start what may start now."""
        self._dispatch()

    def _let_more_in(self) -> None:
        """Let further imports join the pulls that they may follow."""
        self._next_entering = None
        self._dispatch()

    def _dispatch(self, at_once: str = "") -> DownloadJob | None:
        """Start what may start now; return the pull of the import that its submission claims itself."""
        if self.connections.waiting.waiting:
            self.connections.let_in(is_last=not self._is_open)
        if not self._is_open:
            return None
        joined = None
        for slot, ticket in self.queue.take(self._context.current.settings.imports):
            pull = self._enlist(slot, ticket)
            if ticket.import_id == at_once:
                joined = pull
            else:
                self._joins.start(self._joining.join(pull, ticket), f"join {ticket.import_id}")
        if self.connections.waiting.waiting:
            self.connections.let_in(is_last=True)
        self.let_more_in_soon()
        return joined

    def let_more_in_soon(self) -> None:
        """Let others have their turn of the loop, and of the index, before further imports join."""
        if self.queue.followed and self._next_entering is None and self._joining.entering < MAX_ENTERING:
            self._next_entering = asyncio.get_running_loop().call_soon(self._let_more_in)

    def _enlist(self, slot: Slot, ticket: Ticket) -> DownloadJob:
        """Have a slot's pull, begun where there is none, wait for an import that is about to join."""
        pull = self._pulls.get(slot) or self._begin(slot, ticket)
        pull.members.expect()
        self._joining.expected.add(ticket.import_id)
        return pull

    def _begin(self, slot: Slot, ticket: Ticket) -> DownloadJob:
        resume_state = self._resume_state.pop(ticket.request, None) or ResumeState(
            id=new_id(), request=ticket.request
        )
        pull = DownloadJob(self._context, resume_state, self.connections, _Place(self, slot))
        self._pulls[slot] = pull
        if self._context.engine.is_shared:
            self._shared.ask(pull.id, slot, ticket)
        self._tasks[pull] = start_logged(self._run(slot, pull), f"pull {resume_state.id}")
        return pull

    async def _run(self, slot: Slot, pull: DownloadJob) -> None:
        # The task was begun by whoever made room for it: what their log lines carry is not its own.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(pull_id=pull.id)
        try:
            is_traced = self._context.is_traced
            with span("pull", is_first=True, pull_id=pull.id) if is_traced else nullcontext():
                await pull.run()
        finally:
            if pull.id in self._shared.asked:
                await shielded(self._shared.leave(pull.id))
            del self._pulls[slot], self._tasks[pull]
            self.release(slot)

    def seal(self, slot: Slot) -> None:
        """Let nobody join a pull any more, here or elsewhere."""
        if self.queue.seal(slot) and self._context.engine.is_shared:
            self._shared.seal(self._pulls[slot].id)

    async def go(self, slot: Slot, origin: str) -> None:
        """Take a pull's own connection to another origin, once there is room over all hosts."""
        await self._shared.go(self._pulls[slot].id, slot, origin)

    def forget(self, import_id: str) -> None:
        """Let go of an import that is done with, and notify its subscribers."""
        self.places.pop(import_id, None)
        running = self.running_imports.pop(import_id, None)
        if running is not None:
            running.notify()
        self.news.notify(import_id)


class _Place:
    """The place of one job: its slot in the queue, and the scheduler that knows the others."""

    def __init__(self, scheduler: Scheduler, slot: Slot) -> None:
        self._scheduler = scheduler
        self._slot = slot
        self.running_imports = scheduler.running_imports

    def seal(self) -> None:
        self._scheduler.seal(self._slot)

    def ended(self, import_id: str) -> None:
        self._scheduler.forget(import_id)

    async def go(self, origin: str) -> None:
        await self._scheduler.go(self._slot, origin)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
