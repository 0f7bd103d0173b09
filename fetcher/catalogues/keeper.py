"""Keeping images new: look for a newer one, import it, give it the stable name, retire those before."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from fetcher.catalogues.catalogues import Catalogues
from fetcher.catalogues.resolve import Resolved
from fetcher.errors import Failure, UnknownImport
from fetcher.importer import Importer
from fetcher.index.values import IdempotencyKey, Schedule, ScheduleProgress
from fetcher.lifecycle import State
from fetcher.model import Actor, Submission

log = structlog.get_logger()

LOOK_SECONDS = 10.0  # Between two looks at whose turn it is.
RUNNING_SECONDS = 5.0  # Before an import that runs is looked at again.


class Keeper:
    """Runs the schedules of all projects, one after the other: what takes long are their imports.

    Every step is written down before the next one, so that a start goes on where an earlier process was.

    Args:
        sleep: Waits; a test may wait less.
    """

    def __init__(
        self,
        importer: Importer,
        catalogues: Catalogues,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._importer = importer
        self._context = importer.context
        self._catalogues = catalogues
        self._sleep = sleep
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Look at once whose turn it is."""
        self._news.set()

    async def run(self) -> None:
        """Take everybody's turns for ever."""
        while True:
            self._news.clear()
            if self._importer.is_open:
                await self.take_turns(datetime.now(UTC))
            await self._rest()

    async def _rest(self) -> None:
        """Wait until it is time to look again, or a caller asks for it."""
        sleeping = asyncio.ensure_future(self._sleep(LOOK_SECONDS if self._importer.is_open else 1.0))
        woken = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({sleeping, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            woken.cancel()

    async def take_turns(self, now: datetime) -> int:
        """Let every schedule have its turn whose time has come; how many had."""
        due = await self._context.index.schedules.due(now)
        for schedule in due:
            try:
                progress, seconds = await self._turn(schedule, now)
            except Failure as failure:
                log.warning("schedule.failed", schedule=schedule.id, code=failure.code, detail=str(failure))
                public = failure.public()
                progress = _ended(
                    schedule.progress, public.code, str(public) if not public.hidden else "", now
                )
                seconds = schedule.rules.interval_seconds
            await self._context.index.schedules.note(schedule, progress, now + timedelta(seconds=seconds))
        return len(due)

    async def _turn(self, schedule: Schedule, now: datetime) -> tuple[ScheduleProgress, float]:
        """Do the next step; what is to be written down, and when the next one is, comes back."""
        if schedule.progress.import_id is not None:
            return await self._follow(schedule, now)
        found = await self._catalogues.resolve(schedule.rules.catalogue)
        end = found.origin.end_of_life
        if found.has_ended:
            log.warning("schedule.end_of_life", schedule=schedule.id, name=found.entry.name, end=str(end))
        progress = msgspec.structs.replace(schedule.progress, checked_at=now, end_of_life=end)
        serial = found.entry.serial
        if serial == progress.serial:
            unchanged = msgspec.structs.replace(progress, code="unchanged", detail="")
            return unchanged, schedule.rules.interval_seconds
        return await self._submit(schedule, found, progress), RUNNING_SECONDS

    async def _submit(
        self, schedule: Schedule, found: Resolved, progress: ScheduleProgress
    ) -> ScheduleProgress:
        serial, rules = found.entry.serial, schedule.rules
        settings = self._context.current.settings
        asked = Submission(
            url="",
            name=f"{rules.name[:200]} ({serial[:50]})",
            max_bytes=settings.size.max_bytes,
            visibility=rules.visibility,
            convert_to=rules.convert_to,
            properties=rules.properties,
            notify_url=schedule.receiver.url if schedule.receiver else None,
            notify_secret=schedule.receiver.secret if schedule.receiver else None,
        )
        # The same import again where an earlier process wrote it and no more.
        key = f"schedule:{schedule.id}:{serial[:100]}:{progress.tries}"
        record = await self._importer.submit(
            owner(schedule),
            found.fill(asked, settings),
            key=IdempotencyKey(key=key, fingerprint=serial),
        )
        log.info("schedule.import", schedule=schedule.id, import_id=record.id, serial=serial)
        return msgspec.structs.replace(
            progress, import_id=record.id, wanted_serial=serial, code="running", detail=""
        )

    async def _follow(self, schedule: Schedule, now: datetime) -> tuple[ScheduleProgress, float]:
        """Look what has become of the import; a new image takes the name."""
        progress, rules = schedule.progress, schedule.rules
        try:
            record = await self._importer.find(progress.import_id or "", owner(schedule))
        except UnknownImport:  # Forgotten meanwhile: look anew.
            return _ended(progress, "unknown-import", "", now), RUNNING_SECONDS
        if not record.state.is_final:
            return progress, RUNNING_SECONDS
        if record.state is not State.SUCCEEDED or progress.wanted_serial is None:
            verdict = record.verdict
            code = verdict.code if verdict else "failed"
            return _ended(progress, code, verdict.title if verdict else "", now), rules.interval_seconds
        excess = await self._context.index.schedules.promote(
            schedule, record.image_id, progress.wanted_serial, now
        )
        for image_id in excess:
            await self._retire(image_id, schedule)
        log.info("schedule.promoted", schedule=schedule.id, image_id=record.image_id, deleted=len(excess))
        done: dict[str, Any] = {"serial": progress.wanted_serial, "image_id": record.image_id}
        ended = _ended(progress, "ok", "", now)
        return msgspec.structs.replace(ended, **done, changed_at=now, tries=0), rules.interval_seconds

    async def _retire(self, image_id: str, schedule: Schedule) -> None:
        """Delete an image that is more than is kept; one that cannot be deleted stays."""
        try:
            await self._importer.delete_image(image_id, owner(schedule))
        except Failure as failure:
            log.warning("schedule.kept", schedule=schedule.id, image_id=image_id, why=str(failure))


def owner(schedule: Schedule) -> Actor:
    """Return the owner of a schedule, with no more rights than a member has."""
    return Actor(project_id=schedule.project_id, user_id=schedule.user_id)


def _ended(progress: ScheduleProgress, code: str, detail: str, now: datetime) -> ScheduleProgress:
    return msgspec.structs.replace(
        progress,
        import_id=None,
        wanted_serial=None,
        tries=progress.tries + (progress.import_id is not None),
        code=code,
        detail=detail[:500],
        checked_at=now,
    )
