"""The engine whose hosts are woken by pgqueuer, one for each import, instead of all at once."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Self

import msgspec
import psycopg
import structlog
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job
from pgqueuer.domain.types import Channel
from psycopg import Notify

from fetcher.engine.pgqueuer import jobs
from fetcher.engine.pgqueuer.driver import ConnectionDriver
from fetcher.engine.postgres.engine import CHANNEL, PostgresEngine, read
from fetcher.engine.protocol import Engine
from fetcher.engine.values import Signal
from fetcher.errors import StoreFailed

log = structlog.get_logger()

HOLD_SECONDS = 0.25  # For the host that got a job to begin; then it is offered to all.
SWEEP_SECONDS = 5.0
AGAIN_SECONDS = 1.0  # Before pgqueuer is started again.
CLEAR_SECONDS = 600.0  # Between two clearings of what pgqueuer logs.
BATCH = 10
MAX_JOBS = 100  # At one host at a time; each is there for HOLD_SECONDS at most.
MAX_TRIES = 8
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)


class PgqueuerEngine(PostgresEngine):
    """Rows, leases and news as in `PostgresEngine`; pgqueuer wakes one host for each import that waits.

    A job is a hint. The host that gets it looks at the import's row, and takes it by its claim. What that
    host does not begin at once (it has no room, or another host has an equal pull) is offered to all;
    what pgqueuer loses is found by a sweep of each host within two times SWEEP_SECONDS.
    """

    channels = (CHANNEL, jobs.JOBS_CHANNEL)

    _driver: ConnectionDriver | None = None
    _is_dispatching = False
    _is_deaf = False

    async def __aenter__(self) -> Self:
        """Take this host's name, and have each transaction that queues imports enqueue jobs."""
        self._held: dict[str, asyncio.Event] = {}
        await super().__aenter__()
        self._connection.on_queued = jobs.enqueue
        return self

    @property
    def troubles(self) -> list[str]:
        return ["pgqueuer does not dispatch imports: all hosts are woken for each"] if self._is_deaf else []

    async def listen(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().listen())
            if "worker" in self.host.roles:
                group.create_task(self._dispatch())
                group.create_task(self._sweep())
                group.create_task(self._clear())

    def _on_notification(self, notification: Notify) -> None:
        if notification.channel != CHANNEL:
            if self._driver is not None:
                self._driver.dispatch(notification.channel, notification.payload)
            return
        signal = read(notification.payload)
        if signal is None:
            return
        if signal.what == "import":
            if signal.state != "queued" and signal.id in self._held:
                self._held[signal.id].set()
            elif self._is_dispatching and not notification.payload.startswith("offer "):
                signal = msgspec.structs.replace(signal, wakes=False)
        self._say(signal)

    async def _dispatch(self) -> None:
        """Run pgqueuer for ever; while it does not run, every import wakes this host."""
        while True:
            try:
                await self._run_manager()
            except Exception as error:  # noqa: BLE001 - whatever a library raises, imports go on without it
                log.warning("engine.not_dispatching", detail=repr(error), again_in_seconds=AGAIN_SECONDS)
            finally:
                self._is_dispatching, self._driver = False, None
            self._is_deaf = True
            self._say(Signal(what="missed"))  # What came meanwhile was thought to be another host's.
            await asyncio.sleep(AGAIN_SECONDS)

    async def _run_manager(self) -> None:
        async with await self._connection.access.connect() as connection:
            await jobs.install(connection)
            self._driver = ConnectionDriver(connection)
            manager = QueueManager(jobs.queries_on(self._driver), channel=Channel(jobs.JOBS_CHANNEL))
            retrying = partial(
                DatabaseRetryEntrypointExecutor,
                max_attempts=MAX_TRIES,
                initial_delay=FIRST_WAIT,
                max_delay=LONGEST_WAIT,
            )
            manager.entrypoint(jobs.ENTRYPOINT, executor_factory=retrying)(self._deliver)
            await manager.verify_structure()
            self._is_dispatching, self._is_deaf = True, False
            await manager.run(
                dequeue_timeout=timedelta(seconds=SWEEP_SECONDS),
                batch_size=BATCH,
                max_concurrent_tasks=MAX_JOBS,
                heartbeat_timeout=timedelta(seconds=self.host.lease_seconds),
                log_aggregation_interval=timedelta(0),
                shutdown_on_listener_failure=True,
            )

    async def _deliver(self, job: Job) -> None:
        """Wake this host for an import; what it does not begin soon is offered to all.

        Raises:
            StoreFailed: The database cannot be reached; pgqueuer delivers it again, later each time.
        """
        import_id = (job.payload or b"").decode()
        begun = self._held.setdefault(import_id, asyncio.Event())
        try:
            if not await self._connection.read(jobs.is_queued, import_id):
                return
            self._say(Signal(what="import", id=import_id, state="queued"))
            with suppress(TimeoutError):
                async with asyncio.timeout(HOLD_SECONDS):
                    await begun.wait()
                return
            await self._session.ask(jobs.OFFER, [CHANNEL, [import_id]])
        finally:
            self._held.pop(import_id, None)

    async def _sweep(self) -> None:
        """Find what pgqueuer lost: an import that waits at two looks is this host's to begin, too."""
        before: set[str] = set()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with suppress(StoreFailed):
                now = await self._connection.read(jobs.waiting)
                for import_id in now & before:
                    self._say(Signal(what="import", id=import_id, state="queued"))
                before = now

    async def _clear(self) -> None:
        """Take away what pgqueuer writes down of jobs that are done; one host does it for all."""
        while True:
            await asyncio.sleep(CLEAR_SECONDS)
            try:
                if await self.leads("engine log") and self._driver is not None:
                    await jobs.queries_on(self._driver).clear_queue_log(jobs.ENTRYPOINT)
            except (StoreFailed, psycopg.Error) as error:
                log.warning("engine.log_kept", detail=str(error))


# The type checker holds this engine against the protocol here.
_CHECKED: type[Engine] = PgqueuerEngine
