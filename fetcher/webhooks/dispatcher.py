"""Telling receivers that imports have ended: through the gate, signed, again and again, and not for ever."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from fetcher.aio.retry import retry_write
from fetcher.config import Settings
from fetcher.engine.values import Signal
from fetcher.errors import Failure, Forbidden, InternalFault, QueueFull, SourceStatus, SourceTooSlow
from fetcher.importer.context import ENGINE, Context
from fetcher.importer.download.retry_policy import wait_seconds
from fetcher.index.values import Due, Wanted
from fetcher.lifecycle import State
from fetcher.model import Hop, Import, Notice
from fetcher.webhooks.message import request_of
from fetcher.webhooks.notice_turns import Turns

log = structlog.get_logger()

IDLE_SECONDS = 60.0  # A clock that was set back must not delay anything for longer.
FAULT_SECONDS = 5.0  # It is due still: without a wait, a fault of ours would try without end.
PAUSE_SECONDS = 0.05  # Many imports that end at once are one look at the index.


class WebhookDispatcher:
    """Delivers notifications; they are kept in the index, so a restart loses none.

    A receiver may get a notification twice, where the process ended before
    it could record the delivery; the message's id is the same then.

    Attributes:
        attempts: How many ended in which way: delivered, failed (to be tried again), given-up.
    """

    def __init__(self, context: Context) -> None:
        self.attempts: Counter[str] = Counter({"delivered": 0, "failed": 0, "given-up": 0})
        self._context = context
        self._records = context.index.notices
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._turns = Turns(time.monotonic)
        context.engine.watch(self._on_signal)

    def _on_signal(self, signal: Signal) -> None:
        """Look for what is due when an import has ended at any host."""
        if signal.what == "missed" or (signal.what == "import" and State(signal.state).is_final):
            self._wake.set()

    async def run(self) -> None:
        """Deliver what is due, for ever; running attempts outlast this, until `close`."""
        with self._records.watched(self._wake.set):
            await self._run()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            seconds = IDLE_SECONDS
            try:
                await self._drop_excess()
                seconds = await self._start_due()
            except Failure as failure:
                log.error("notify.failed", code=failure.code, detail=str(failure))  # noqa: TRY400 - a fact
            await asyncio.sleep(PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def close(self) -> None:
        """Cut off the attempts under way; they are left to the next start."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_due(self) -> float:
        """Start all that is due and may start; how many seconds there are until the next."""
        rules = self._context.current.settings.notify
        while len(self._running) < rules.max_running:
            found = self._turns.in_turn(await self._records.due(self._wanted()))
            if not found:
                break
            # One for each project and look; what the first ones change counts for those after them.
            for due in found[: max(1, (rules.max_running - len(self._running)) // 2)]:
                self._turns.begin(due)
                self._running[due.import_id] = asyncio.create_task(
                    self._deliver(due), name=f"notify {due.import_id}"
                )
        return await self._seconds_left()

    def _wanted(self) -> Wanted:
        settings, now = self._context.current.settings, datetime.now(UTC)
        rules = settings.notify
        longest = max(rules.max_wait_seconds, settings.retry.max_retry_after_seconds)
        waited, waiting = self._turns.waits()
        return Wanted(
            now=now,
            far=now + timedelta(seconds=longest),
            waited=waited,
            but_imports=[*self._running, *waiting],
            but_projects=self._turns.full_projects(rules),
            but_receivers=self._turns.slow_receivers(rules),
        )

    async def _seconds_left(self) -> float:
        """Until the next one is due; by the date only where an earlier process wrote it down."""
        seconds = self._turns.seconds_left(IDLE_SECONDS)
        at = await self._records.next_at()
        by_date = IDLE_SECONDS if at is None else (at - datetime.now(UTC)).total_seconds()
        return min(seconds, by_date) if by_date > 0 else seconds

    async def _deliver(self, due: Due) -> None:
        is_delivered = False
        try:
            record = await self._context.index.imports.find(due.import_id, ENGINE)
            ids = {"image_id": record.image_id, "request_id": record.request_id}
            with structlog.contextvars.bound_contextvars(import_id=record.id, **ids):
                notice = await self._attempt(record, due)
                is_delivered = notice.state == "delivered"
                if notice.next_at is not None:
                    self._turns.postpone(record.id, (notice.next_at - datetime.now(UTC)).total_seconds())
                await self._write(record, notice)
        except Failure as failure:
            log.error("notify.failed", import_id=due.import_id, code=failure.code, detail=str(failure))  # noqa: TRY400 - a fact
            await asyncio.sleep(FAULT_SECONDS)
        except Exception as error:
            log.exception("notify.fault", import_id=due.import_id, error=repr(error))
            await asyncio.sleep(FAULT_SECONDS)
        finally:
            del self._running[due.import_id]
            self._turns.end(due, is_delivered=is_delivered)
            self._wake.set()

    async def _attempt(self, record: Import, due: Due) -> Notice:
        settings = self._context.current.settings
        before = record.notice or Notice()
        notice = msgspec.structs.replace(before, attempts=before.attempts + 1, next_at=None)
        try:
            status = await self._post(record, due, settings)
        except Failure as failure:
            return _failed(notice, failure, settings)
        except Exception as error:
            log.exception("notify.fault", import_id=record.id, error=repr(error))
            return _failed(notice, InternalFault(), settings)
        return msgspec.structs.replace(
            notice, state="delivered", at=datetime.now(UTC), status=status, code=None
        )

    async def _post(self, record: Import, due: Due, settings: Settings) -> int:
        rules = settings.notify
        url, secret = due.webhook.url, due.webhook.secret
        if url is None:
            url, secret = rules.url, rules.secret or None
        elif not rules.per_import:
            url = ""
        if not url:
            raise Forbidden(reason="the operator has switched it off")
        request = request_of(record, url, secret, settings)
        try:
            async with asyncio.timeout(rules.total_seconds):
                return await self._context.gate.post(request, settings, _unseen)
        except TimeoutError as error:
            reason = f"no answer within {rules.total_seconds:g} seconds"
            raise SourceTooSlow(reason=reason, limit_seconds=rules.total_seconds) from error

    async def _write(self, record: Import, notice: Notice) -> None:
        ids = {"import_id": record.id, "image_id": record.image_id, "request_id": record.request_id}
        log.info("notify.ended", state=notice.state, attempt=notice.attempts, code=notice.code, **ids)
        if notice.next_at is None:
            self.attempts[notice.state] += 1
            self._turns.forget(record.id)
            await retry_write(lambda: self._records.settle(record, notice))
        else:
            self.attempts["failed"] += 1
            await retry_write(lambda: self._records.postpone(record.id, notice))

    async def _drop_excess(self) -> None:
        most = self._context.current.settings.notify.max_waiting
        for import_id in await self._records.excess(most):
            if import_id in self._running:
                continue
            record = await self._context.index.imports.find(import_id, ENGINE)
            full = QueueFull(scope="the queue of notices", limit=most)
            notice = msgspec.structs.replace(record.notice or Notice(), state="given-up", next_at=None)
            await self._write(record, msgspec.structs.replace(notice, code=full.code))


def _unseen(_hop: Hop) -> None:
    """A notice has one hop, and its receiver's address is nobody's business."""


def _failed(notice: Notice, failure: Failure, settings: Settings) -> Notice:
    """Return what follows a failure: another attempt, where that may help and there is one left."""
    public, now = failure.public(), datetime.now(UTC)
    log.info("notify.attempt", attempt=notice.attempts, code=failure.code, detail=str(failure))
    notice = msgspec.structs.replace(
        notice, at=now, code=public.code, status=failure.status if isinstance(failure, SourceStatus) else None
    )
    is_fault = isinstance(failure, InternalFault | SourceTooSlow)
    if notice.attempts >= settings.notify.attempts or not (is_fault or public.is_retryable()):
        return msgspec.structs.replace(notice, state="given-up")
    pace = msgspec.structs.replace(
        settings.retry,
        first_wait_seconds=settings.notify.first_wait_seconds,
        max_wait_seconds=settings.notify.max_wait_seconds,
    )
    wait = wait_seconds(failure, notice.attempts, pace)
    return msgspec.structs.replace(notice, next_at=now + timedelta(seconds=wait))
