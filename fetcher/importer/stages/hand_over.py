"""Complete bytes on their way into the target image service, until it shows the image as active."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from fetcher.aio.shield import shielded
from fetcher.config import Settings
from fetcher.errors import TargetRefused, TargetUnavailable
from fetcher.importer.context import Context
from fetcher.importer.download.retry_policy import wait_seconds
from fetcher.importer.receive.complete import Complete
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.stages.commit import called, end_delivered
from fetcher.importer.stages.stage import Carrier, Stage, Story
from fetcher.importer.stages.target_image import TargetImage
from fetcher.index.values import Secrets
from fetcher.model import Delivery, Import, Phase

log = structlog.get_logger()


def begin(settings: Settings, image_id: str, target_image_id: str | None) -> Delivery | None:
    """Return where a submission's image goes on to; None where images stay here."""
    if not settings.target.url:
        return None
    return Delivery(url=settings.target.url, image_id=target_image_id or image_id)


async def left_there(context: Context, record: Import) -> "HandOver | None":
    """Return what takes back what an earlier process made at the target for an import that waits."""
    if record.delivery is None or not record.delivery.is_made or record.state.is_final:
        return None
    secrets = await context.index.imports.secrets(record.id)
    return HandOver(context, RunningImport(record, time.monotonic), secrets, context.current.settings)


class HandOver:
    """Takes one import's image into the target, and takes back what came to nothing.

    Args:
        running: With a delivery.
        secrets: With the submitter's own token for the target.
        is_parked: Whether a cancelled run is to be taken up by a later process.
    """

    def __init__(
        self,
        context: Context,
        running: RunningImport,
        secrets: Secrets,
        settings: Settings,
        is_parked: Callable[[], bool] = lambda: False,
    ) -> None:
        self._context = context
        self._running = running
        self._settings = settings
        self._is_parked = is_parked
        self._image = TargetImage(context, running, secrets.target_token, settings)

    async def deliver(self, body: Complete, story: Story, close: Callable[[], Awaitable[None]]) -> bool:
        """Take the bytes there, and end the import; False where they are to stay here, or here too.

        Args:
            close: Lets go of what came in: a reader of the verdict finds nothing of the bytes.
        """
        if self._running.record.delivery is None:
            return False
        await self.run(body, called(self._running.record, story.source_headers))
        if self._settings.target.keep_bytes:
            return False
        await close()
        await self._context.store.discard(body.staged)
        await shielded(end_delivered(self._context, self._running, body, story))
        return True

    async def run(self, body: Complete, name: str | None) -> None:
        """Take the bytes there; when this returns, the service shows the image as active.

        Args:
            name: What the image is called where nobody has said.

        Raises:
            TargetRefused: It will not have the image.
            TargetUnavailable: It cannot be reached, fails, or comes to no end.
            TargetMismatch: It shows other bytes than were sent.
        """
        seconds = self._settings.target.total_seconds
        if self._settings.target.url != self._image.delivery.url:
            raise TargetRefused(reason="the operator has changed the target since the import was submitted")
        self._running.change(phase=Phase.DELIVERING)
        try:
            async with asyncio.timeout(seconds):
                await self._until_active(body, name)
        except TimeoutError as error:
            await self.undo()
            raise TargetUnavailable(reason=f"the image was not active in {seconds:g} seconds") from error
        except asyncio.CancelledError:
            if not self._is_parked():
                await shielded(self.undo())
            raise
        except Exception:
            await self.undo()
            raise

    async def undo(self) -> None:
        """Remove the image there, unless it was there before; where that fails, the log says so."""
        delivery, target = self._image.delivery, self._settings.target
        if not delivery.is_made:
            return
        number = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(target.undo_seconds):
                while True:
                    try:
                        await self._image.sender.remove(delivery.image_id)
                    except TargetRefused as failure:
                        log.warning("delivery.kept", target_image_id=delivery.image_id, detail=str(failure))
                        break
                    except TargetUnavailable as failure:
                        number += 1
                        await asyncio.sleep(wait_seconds(failure, number, self._settings.retry))
                    else:
                        return
        log.error("delivery.left", target=delivery.url, target_image_id=delivery.image_id)
        self._image.change(status="left")

    async def _until_active(self, body: Complete, name: str | None) -> None:
        await self._context.store.settle(body.staged)
        failures = 0
        while True:
            try:
                if await self._image.step(body, name):
                    return
            except TargetUnavailable as failure:
                failures += 1
                log.info(
                    "delivery.attempt", attempt=failures, detail=str(failure), cause=ascii(failure.__cause__)
                )
                if failures >= self._settings.retry.attempts:
                    raise
                await asyncio.sleep(wait_seconds(failure, failures, self._settings.retry))
            else:
                failures = 0


async def _run(carrier: Carrier, body: Complete) -> Complete | None:
    # One that goes to the target shares its body with nobody.
    for running in list(carrier.followers.values()):
        if running.record.delivery is None:
            continue
        over = HandOver(
            carrier.context, running, carrier.secrets, carrier.settings, lambda: carrier.is_parked
        )
        if await over.deliver(body, carrier.story(), carrier.close):
            await carrier.end(running, None)
            return None
    return body


STAGE = Stage(name="hand over", run=_run, needs=("verify", "convert"))
