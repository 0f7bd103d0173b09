"""Submit, follow and cancel exports; who runs next, and who owns the runs."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from fetcher.aio.retry import retry_write
from fetcher.config import Settings
from fetcher.engine.values import Signal
from fetcher.errors import Forbidden, InvalidRequest, NotReady
from fetcher.exporter.outbound import check_format, most_bytes
from fetcher.exporter.run import ExportRun
from fetcher.exporter.senders.base import Sender
from fetcher.exporter.senders.registry import sender_for
from fetcher.exporter.senders.signed_parts import check_parts
from fetcher.guards.request.receivers import check_any, check_kind, check_sendable
from fetcher.ids import new_id
from fetcher.importer.context import Context
from fetcher.importer.news import News
from fetcher.importer.schedule.rate_limiter import RateLimiter
from fetcher.index.values import Export, ExportBounds, ExportOptions, IdempotencyKey, ReceiverSecrets
from fetcher.lifecycle import State
from fetcher.model import Actor, Image
from fetcher.transport import check_request_headers

log = structlog.get_logger()

DAY = timedelta(days=1)
MAX_SHOWN = 512  # Characters of a receiver: what its record holds for a month.
IDLE_SECONDS = 60.0
START_SECONDS = 10.0
FOLLOW_SECONDS = 15.0
MEDIA_TYPE = re.compile(r"[!#$&^_.+A-Za-z0-9-]{1,127}/[!#$&^_.+A-Za-z0-9-]{1,127}(; ?[ !-~]{1,127})?")


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """All that comes with a request for an export.

    Args:
        request_id: Of the call, for the log.
        key: What a repeated call is known by.
    """

    request_id: str | None = None
    key: IdempotencyKey | None = None


def _bounds(settings: Settings, now: datetime) -> ExportBounds:
    """Return what a submission of now must not go over."""
    rules = settings.exports
    return ExportBounds(
        max_waiting=rules.max_waiting,
        max_bytes=rules.max_bytes_per_day,
        max_made=rules.max_per_day,
        since=now - DAY,
    )


class Exporter:
    """Sends images to receivers; what waits is in the index, so a restart forgets nobody."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._records = context.index.exports
        self._rate_limiter = RateLimiter(time.monotonic)
        self._wake = asyncio.Event()
        self._news = News()
        self._live: dict[str, Export] = {}
        self._tasks: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._claiming: dict[str, asyncio.Event] = {}
        self._runs: dict[str, ExportRun] = {}
        self._taken_up = asyncio.Event()
        context.engine.watch(self._on_signal)

    def _on_signal(self, signal: Signal) -> None:
        """Look for queued exports, end those cancelled at another host, and wake the followers."""
        if signal.what not in ("export", "missed"):
            return
        if signal.what == "missed" or signal.state == State.QUEUED:
            self._wake.set()
        live = self._live.get(signal.id)
        if signal.id in self._tasks and live is not None and signal.claim > live.claim:
            self._tasks[signal.id][1].cancel()
        self._news.notify(signal.id)

    async def submit(
        self,
        actor: Actor,
        image_id: str,
        secrets: ReceiverSecrets,
        options: ExportOptions | None = None,
        call: Called | None = None,
    ) -> Export:
        """Take an export; it is judged now, and runs when its turn comes.

        The same request with the same key is answered with the export that it made.

        Raises:
            IdempotencyMismatch: The key came with another request before.
            Forbidden: The caller may not send this image.
            ReceiverForbidden: The operator allows no such receiver, or no receivers of its kind.
            InvalidRequest: The receiver or the format cannot be taken.
            UnknownImage: There is no such image.
            Conflict: It has no bytes to send, or nobody could use them.
            SendLimit: The project has sent as much within a day as it may.
            QueueFull: Too many exports wait, or the project has made as many in a minute or day as it may.
        """
        settings = self._context.current.settings
        options, call = options or ExportOptions(), call or Called()
        self._count(actor, settings)
        sender = _sender(actor, secrets, options, settings)
        taken = sender.take(secrets, options, settings)
        image = await self._sendable(image_id, actor)
        check_format(image, options.format, settings)
        size = most_bytes(image, options.format)
        if taken.secrets.access.parts is not None:
            check_parts(taken.secrets.access.parts, size)
        await self._context.index.maintenance.check_whole(image.address or "")
        now = datetime.now(UTC)
        export = Export(
            id=new_id(),
            image_id=image.id,
            project_id=actor.project_id,
            user_id=actor.user_id,
            receiver=taken.shown[:MAX_SHOWN],
            sender=sender.name,
            size=size,
            sha256=image.sha256 or "",
            options=options,
            created_at=now,
            updated_at=now,
            request_id=call.request_id,
        )
        made = await self._records.submit(export, taken.secrets, bounds=_bounds(settings, now), key=call.key)
        self._wake.set()
        return self.newest(made)

    def _count(self, actor: Actor, settings: Settings) -> None:
        limit = settings.exports.max_submits_per_minute
        self._rate_limiter.count_for(
            {("project", actor.project_id): ("the project's exports of a minute", limit)}
        )

    async def _sendable(self, image_id: str, actor: Actor) -> Image:
        """Find an image that this caller may send."""
        image = await self._context.index.images.find(image_id, actor)
        if image.project_id != actor.project_id and not actor.is_admin:
            raise Forbidden(reason="it is another project's image")
        check_sendable(image)
        return image

    async def find(self, export_id: str, actor: Actor) -> Export:
        """Return how far an export is, or how it ended; raises UnknownExport."""
        return self.newest(await self._records.find(export_id, actor))

    def newest(self, export: Export) -> Export:
        """Return what is known of an export now, which may be more than was written down."""
        live = self._live.get(export.id)
        return export if export.state.is_final or live is None else live

    async def cancel(self, export_id: str, actor: Actor) -> None:
        """End an export; when this returns, nothing more is sent.

        Raises:
            UnknownExport: There is none, or it is another project's.
            Conflict: It has ended in another way.
            NotReady: What an earlier process left is not taken up yet.
        """
        export = await self._records.find(export_id, actor)
        await self._until_taken_up()
        if not export.state.is_final:
            await self._let_go(export)
        await self._records.cancel(export_id, actor, datetime.now(UTC))
        if export_id in self._tasks:  # It was about to be claimed.
            await self._let_go(export)
        self._live.pop(export_id, None)
        self._news.notify(export_id)

    async def _until_taken_up(self) -> None:
        """Wait until it is known what an earlier process left at receivers."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._taken_up.wait()
        except TimeoutError as error:
            raise NotReady(reason="it is starting") from error

    async def _let_go(self, export: Export) -> None:
        """Stop an export and remove what is unfinished at its receiver, also what an earlier process left."""
        if (claiming := self._claiming.get(export.id)) is not None:
            await claiming.wait()  # A claim that is cut off would leave a run that nobody knows of.
        if (running := self._tasks.get(export.id)) is not None:
            if (run := self._runs.get(export.id)) is not None:
                run.is_unwanted = True
            running[1].cancel()
            await asyncio.wait([running[1]])
        elif export.attempts:
            claimed = await retry_write(lambda: self._records.claim(export.id, datetime.now(UTC)))
            if claimed is not None:
                await ExportRun(self._context, *claimed, self._show).abort()

    async def follow(self, export_id: str, actor: Actor, least_seconds: float) -> AsyncIterator[Export]:
        """Yield an export at every change, the last time when it has ended."""
        before: Export | None = None
        with self._news.follow(export_id) as changed:
            while before is None or not before.state.is_final:
                changed.clear()
                export = await self.find(export_id, actor)
                if export != before:
                    before = export
                    yield export
                    await asyncio.sleep(least_seconds)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(FOLLOW_SECONDS):
                        await changed.wait()

    async def run(self) -> None:
        """Take up what an earlier process left, then run exports in turn, for ever.

        It is started again after a fault; what this process is sending then goes on.
        """
        if not self._taken_up.is_set():
            await retry_write(lambda: self._records.requeue(datetime.now(UTC)))
            self._taken_up.set()
        if "worker" not in self._context.engine.host.roles:
            await asyncio.get_running_loop().create_future()
        while True:
            self._wake.clear()
            await self._start_waiting()
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wake.wait()

    async def close(self) -> None:
        """Cut off what is being sent; the next start sends it again."""
        tasks = [task for _project, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_waiting(self) -> None:
        """Start those that may, one of each project in turn."""
        rules = self._context.current.settings.exports
        counts = Counter(project for project, _task in self._tasks.values())
        waiting = [export for export in await self._records.waiting() if export.id not in self._tasks]
        while waiting and len(self._tasks) < rules.max_running:
            free = [one for one in waiting if counts[one.project_id] < rules.max_running_per_project]
            if not free:
                break
            export = min(free, key=lambda one: (counts[one.project_id], one.created_at))
            waiting.remove(export)
            counts[export.project_id] += 1
            self._claiming[export.id] = asyncio.Event()
            task = asyncio.create_task(self._run(export), name=f"export {export.id}")
            self._tasks[export.id] = (export.project_id, task)

    async def _run(self, export: Export) -> None:
        try:
            claimed = await retry_write(lambda: self._records.claim(export.id, datetime.now(UTC)))
            if claimed is not None:
                run = self._runs[export.id] = ExportRun(self._context, *claimed, self._show)
                self._claiming[export.id].set()
                await run.run()
        except Exception as error:
            log.exception("export.fault", export_id=export.id, error=repr(error))
        finally:
            del self._tasks[export.id]
            self._runs.pop(export.id, None)
            self._claiming.pop(export.id).set()
            self._live.pop(export.id, None)
            self._news.notify(export.id)
            self._wake.set()

    def _show(self, export: Export) -> None:
        self._live[export.id] = export
        self._news.notify(export.id)

    async def page(self, actor: Actor, *, limit: int, marker: str | None, state: str | None) -> list[Export]:
        """Return the newest exports that the actor may see, after `marker`; raises UnknownExport."""
        found = await self._records.page(actor, limit=limit, marker=marker, state=state)
        return [self.newest(export) for export in found]


def _sender(actor: Actor, secrets: ReceiverSecrets, options: ExportOptions, settings: Settings) -> Sender:
    """Choose the sender for a receiver, where the operator allows that to this caller."""
    if settings.exports.role == "admin" and not actor.is_admin:
        raise Forbidden(reason="sending images is for admins")
    check_any(settings)
    _check_headers(secrets.headers)
    sender = sender_for(secrets)
    check_kind(sender.name, settings)
    _check_fields(sender, secrets, options)
    return sender


def _check_fields(sender: Sender, secrets: ReceiverSecrets, options: ExportOptions) -> None:
    """Refuse fields that this kind of receiver does not use: another kind was meant."""
    access = secrets.access
    given = {name for name in access.__struct_fields__ if getattr(access, name) is not None}
    given |= {"layout"} if options.layout != "artifact" else set()
    for name in sorted(given - sender.fields):
        raise InvalidRequest(field=name, reason=f"{name} is of no use with {sender.form}")


def _check_headers(headers: dict[str, str]) -> None:
    """Refuse headers that would change the request itself; of its content, the type alone is the caller's."""
    check_request_headers({name: value for name, value in headers.items() if name.lower() != "content-type"})
    for name, value in headers.items():
        if name.lower() == "content-type" and not MEDIA_TYPE.fullmatch(value):
            raise InvalidRequest(field="headers", reason="the value of Content-Type is no media type")
