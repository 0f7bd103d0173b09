"""Work of a host that has others beside it: receive signals, let go of lost imports, take over."""

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from fetcher.engine.values import Progress, Signal
from fetcher.errors import Interrupted, Shortage, StoreFailed, UnknownImport
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.context import ENGINE, Context
from fetcher.importer.methods.registry import named
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.schedule.queue import Ticket
from fetcher.importer.scheduler import Scheduler
from fetcher.importer.stages.commit import remove_unneeded
from fetcher.importer.tickets import ticket_of
from fetcher.index.values import Secrets, Waiting
from fetcher.lifecycle import Event, State
from fetcher.model import Import, Phase

log = structlog.get_logger()

GATHER_SECONDS = 0.02  # Signal that come together are one look at the index.
STAGGER_SECONDS = 0.03  # Whoever took a submission goes first: most need no other host.
BEHIND_SECONDS = 0.25  # Where imports wait here already, further ones can hardly begin sooner.
AGAIN_SECONDS = 1.0
PROGRESS_SECONDS = 1.0
LOOK_SECONDS = 1.0  # A run is missed for its lease, and so long at most.


class Others:
    """The other hosts, as far as imports are concerned."""

    def __init__(self, context: Context, scheduler: Scheduler) -> None:
        self._context = context
        self._scheduler = scheduler
        self._progress: dict[str, Progress] = {}
        self._queued: set[str] = set()
        self._announced: dict[str, Waiting] = {}
        self._has_queued = asyncio.Event()
        self._taken: set[str] = set()
        self._has_moved = self._is_behind = False
        self._wake = asyncio.Event()
        self._is_worker = "worker" in context.engine.host.roles
        context.engine.watch(self.on_signal)

    def start(self) -> None:
        """Give what runs for as long as the service does to its supervisor."""
        supervisor, engine = self._context.supervisor, self._context.engine
        if not engine.is_shared:
            return
        supervisor.start("engine", engine.listen)
        supervisor.start("host", self._live)
        supervisor.start("other hosts", self._run)
        supervisor.start("progress", self._report_progress)
        if self._is_worker:
            supervisor.start("submissions elsewhere", self._look_at_submissions)
            supervisor.start("takeover", self._take_over)

    def on_signal(self, signal: Signal) -> None:
        """Note a signal; what takes time is done soon after."""
        if signal.what == "progress":
            self._note_progress(signal.progress)
            return
        if signal.what == "waiting":
            self._note_waiting(signal.waiting)
            return
        if signal.what == "import":
            self._note_import(signal)
        elif signal.what == "places":
            self._has_moved = True
        elif signal.what == "missed":
            self._has_moved = self._is_behind = True
            self._progress.clear()
            self._announced.clear()
            self._scheduler.news.notify_all()
        self._wake.set()

    def _note_progress(self, progress: tuple[Progress, ...]) -> None:
        for one in progress:
            if self._scheduler.running(one.import_id) is None:
                self._progress[one.import_id] = one
                self._scheduler.news.notify(one.import_id)

    def _note_waiting(self, waiting: tuple[Waiting, ...]) -> None:
        """Keep announcements of queued imports until their own signals come, which follow at once."""
        if self._is_worker:
            self._announced.update(
                {one.import_id: one for one in waiting if not self._scheduler.knows(one.import_id)}
            )

    def _note_import(self, signal: Signal) -> None:
        state = State(signal.state)
        if state is State.QUEUED or state.is_final:
            self._progress.pop(signal.id, None)
        running = self._scheduler.running(signal.id)
        if running is not None and not running.record.state.is_final:
            if signal.claim > running.record.claim:
                self._taken.add(signal.id)
        elif state is State.QUEUED:
            if self._is_worker and signal.wakes and not self._scheduler.knows(signal.id):
                self._queued.add(signal.id)
                self._has_queued.set()
            else:  # Another host is woken for it; should this one be in the end, it looks.
                self._announced.pop(signal.id, None)
        else:
            self._queued.discard(signal.id)
            self._announced.pop(signal.id, None)
            self._scheduler.queue.drop(signal.id)
        self._scheduler.news.notify(signal.id)

    def snapshot(self, record: Import) -> Import:
        """Return a record that runs elsewhere with the progress that its host last reported."""
        progress = self._progress.get(record.id)
        return record if progress is None else progress.seen_in(record)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                await self.catch_up()
            except StoreFailed as failure:
                log.warning("engine.behind", detail=str(failure))
                self._wake.set()
                await asyncio.sleep(AGAIN_SECONDS)

    async def catch_up(self) -> None:
        """Act on the signals so far.

        Raises:
            StoreFailed: The index cannot be read: all that is left to do is remembered.
        """
        while self._taken:
            await self._let_go(next(iter(self._taken)))
        if self._has_moved:
            self._scheduler.see(await self._context.engine.elsewhere())
            self._has_moved = False
        if self._is_behind:
            if self._is_worker:
                self._add(await self._context.engine.queued())
            self._is_behind = False

    async def _look_at_submissions(self) -> None:
        """Let imports wait here, too, that other hosts have taken in, for ever."""
        if self._queued:  # Announced before something ended this work.
            self._has_queued.set()
        while True:
            await self._has_queued.wait()
            most = BEHIND_SECONDS if len(self._scheduler.queue) else STAGGER_SECONDS
            await asyncio.sleep(most * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            self._has_queued.clear()
            some = self._take_announced()
            try:
                if some:
                    self._add(await self._context.engine.queued(some))
            except StoreFailed as failure:
                log.warning("engine.behind", detail=str(failure))
                self._has_queued.set()
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._queued.difference_update(some)

    def _take_announced(self) -> list[str]:
        """Queue the announced imports here; return the ids of the others, to look up in the index."""
        settings = self._context.current.settings
        for import_id in self._announced.keys() & self._queued:
            one = self._announced.pop(import_id)
            self._queued.discard(import_id)
            if not self._scheduler.knows(import_id):
                self._scheduler.add(Ticket.of(one, CheckedUrls(settings)))
        return list(self._queued)

    def _add(self, found: list[tuple[Import, Secrets]]) -> None:
        for record, secrets in found:
            if not self._scheduler.knows(record.id):
                urls = CheckedUrls(self._context.current.settings)
                self._scheduler.add(ticket_of(record, secrets, urls))

    async def _let_go(self, import_id: str) -> None:
        """End a run here that was cancelled elsewhere, or is another host's now."""
        with suppress(UnknownImport):
            record = await self._context.index.imports.find(import_id, ENGINE)
            running = self._scheduler.running(import_id)
            if running is not None and record.claim > running.record.claim:
                if record.state.is_final:
                    await self._scheduler.cancel(record)
                else:
                    log.warning("import.lost", import_id=import_id, claim=record.claim)
                    await self._scheduler.lose(import_id)
        self._taken.discard(import_id)

    def lose(self, import_ids: list[str]) -> None:
        """End runs that could not be held for another lease."""
        if not self._context.engine.is_shared:
            return
        self._taken.update(import_ids)
        self._wake.set()

    async def _live(self) -> None:
        """Say that this host lives, for ever."""
        engine = self._context.engine
        while True:
            try:
                is_alive = await engine.beat(len(self._scheduler.running_imports))
            except Shortage as failure:  # `/readyz` says so by itself.
                log.warning("host.unheard", detail=str(failure), again_in_seconds=AGAIN_SECONDS)
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if not is_alive:
                reason = (
                    f"another process runs as host {engine.host.name}: give each a [cluster] host of its own"
                )
                raise StoreFailed(reason=reason)
            await asyncio.sleep(engine.host.beat_seconds)

    async def _report_progress(self) -> None:
        """Report the progress of imports that run here to the others, once a second where it has changed."""
        reported: dict[str, tuple[int, Phase | None]] = {}
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            records = [running.snapshot() for running in self._scheduler.running_imports.values()]
            now = {record.id: (record.received_bytes, record.phase) for record in records}
            news = [record for record in records if reported.get(record.id) != now[record.id]]
            with suppress(StoreFailed):  # The next turn reports them.
                await self._context.engine.report_progress([Progress.of(record) for record in news])
                reported = now

    async def _take_over(self) -> None:
        """Look for what is overdue, for ever.

        Where the database was away for a while, leases have run out of hosts that are as well as this one:
        they are given one more to come back.
        """
        loop = asyncio.get_running_loop()
        wait_until = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                # Nobody announces a lease that runs out: what a dead host's pulls took is free by the clock.
                self._scheduler.see(await self._context.engine.elsewhere())
            except StoreFailed as failure:
                log.warning("engine.unseen", detail=str(failure))
                wait_until = loop.time() + self._context.engine.host.lease_seconds
                continue
            if loop.time() < wait_until:
                continue
            try:
                await self.take_over()
            except StoreFailed as failure:
                log.warning("takeover.failed", detail=str(failure))

    async def take_over(self) -> None:
        """Put the imports of hosts whose lease is over back into the queue.

        Raises:
            StoreFailed: The index refuses.
        """
        engine = self._context.engine
        waiting = []
        for record, _secrets in await engine.overdue():
            if named(record.method).is_sent:
                await self._end_sent(record)
            else:
                waiting.append(record.id)
        if waiting:
            log.warning("imports.taken_over", import_ids=waiting)
            await engine.take_over(waiting)
        await engine.take_exports()

    async def _end_sent(self, record: Import) -> None:
        """End what was being sent to a host that is gone; its sender knows."""
        address = record.announced
        if address:
            async with self._context.holding(address):
                await remove_unneeded(self._context, address)
        verdict = verdict_of(Interrupted())
        ended = record.ended(Event.FAIL, verdict, datetime.now(UTC))
        await self._context.index.imports.end(ended, {"code": verdict.code})
