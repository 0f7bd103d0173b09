"""One body that is sent to us, from its first byte to the import's end."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec
import structlog

from fetcher.aio.retry import retry_while_short
from fetcher.config import Settings
from fetcher.convert.streaming import NotStreamable
from fetcher.errors import (
    Cancelled,
    ConversionFailed,
    DeadlinePassed,
    Failure,
    InternalFault,
)
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.importer.context import Context
from fetcher.importer.lifecycle import end
from fetcher.importer.methods.method import Flow
from fetcher.importer.methods.registry import named
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.layers import converts_upload
from fetcher.importer.receive.quota_headroom import coming, quota_headroom
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.receive.unpacking import unpacks_upload
from fetcher.importer.records.requests import AS_RECEIVED
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.verdicts import fail
from fetcher.importer.stages import registry
from fetcher.importer.stages.stage import Settle, Story
from fetcher.index.values import Secrets
from fetcher.lifecycle import Event
from fetcher.model import Blob, Import, Submission, Verdict
from fetcher.pipeline import Peer, PeerClock
from fetcher.store.reservation import Reservation

log = structlog.get_logger()

STAGED = Verdict(code="ok", title="The bytes are staged; an import with glance-direct makes the image.")


class Body(Peer, Protocol):
    """The bytes of an upload."""

    @property
    def declared_bytes(self) -> int | None:
        """Return how many there are, if the sender says so."""


class UploadRun:
    """Carries one body to its end.

    Args:
        lives: Who runs now.
        takes_encrypted: Whether a LUKS volume may come as raw.

    Attributes:
        failure: What ended it, if something did.
    """

    def __init__(
        self,
        context: Context,
        running: RunningImport,
        body: Body,
        running_imports: Callable[[], Iterable[RunningImport]],
        *,
        takes_encrypted: bool,
    ) -> None:
        self._context = context
        self._running_imports = running_imports
        self._running = running
        self._body = body
        self._settings = context.current.settings
        self._takes_encrypted = takes_encrypted
        self.failure: Failure | None = None

    async def finish(self) -> None:
        """Run to the end; every way it can end badly ends here, in the verdict."""
        try:
            with self._context.store.reserve(self._running.record.project_id) as reservation:
                await self._take(reservation)
        except Failure as failure:
            self.failure = failure
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("import.fault", import_id=self._running.record.id, error=repr(error))
            self.failure = InternalFault()
        if self.failure is not None:
            words = named(self._running.record.method).words(self.failure)
            await fail(self._context.index, self._running, self.failure, words=words)

    async def _take(self, reservation: Reservation) -> None:
        pace = self._settings.pace
        receiver = await self._receiver(reservation)
        try:
            is_proven = self._body.declared_bytes is not None
            if self._body.declared_bytes is not None:
                reservation.expect(self._body.declared_bytes)
            clock = PeerClock(asyncio.get_running_loop().time)
            async with asyncio.timeout(pace.total_seconds):
                await receiver.take(self._body, clock, is_proven=is_proven)
            carrier = SentBody(self._context, self._settings, self._running, receiver)
            await registry.run_rest(carrier, await registry.run_attempt(carrier, receiver.complete()))
        except NotStreamable as surprise:
            found = receiver.format
            raise ConversionFailed(
                format=found.disk_format if found else "disk", target="raw", reason=surprise.reason
            ) from surprise
        except TimeoutError as error:
            raise DeadlinePassed(total_seconds=pace.total_seconds) from error
        finally:
            await receiver.close()

    async def _receiver(self, reservation: Reservation) -> Receiver:
        record = self._running.record
        headroom = await quota_headroom(
            self._context.index,
            self._settings,
            record.project_id,
            lambda: coming(self._running_imports(), [self._running]),
        )
        chain = Chain(
            GuardContext(
                purpose=Purpose(record.method),
                settings=self._settings,
                submission=record.submission,
                takes_encrypted=self._takes_encrypted,
                headroom=headroom,
            )
        )
        return Receiver(
            staged=await retry_while_short(lambda: self._context.store.stage(record.id, record.claim)),
            store=self._context.store,
            worker_pool=self._context.worker_pool,
            settings=self._settings,
            chain=chain,
            unpacks=self._settings.format.enforce_on_upload
            and unpacks_upload(self._settings, record.submission),
            converts=converts_upload(self._settings, asked_of_sent(self._settings, record)),
            comes_once=True,
            algorithms=self._settings.checksum.algorithms,
            address=self._settings.checksum.address,
            reservation=reservation,
            count=self._running.receive,
            times=self._context.guard_times,
        )


def asked_of_sent(settings: Settings, record: Import) -> Submission:
    """Return what was asked for of bytes that are sent; a rule says whether a plain upload stays as it is."""
    submission, rule = record.submission, settings.convert.uploads
    is_plain = named(record.method).flow is Flow.SEND
    if is_plain and (rule == "never" or (rule == "asked" and not submission.convert_to)):
        return msgspec.structs.replace(submission, convert_to=AS_RECEIVED)
    return submission


class SentBody:
    """A body that was sent, as the stages see it."""

    secrets = Secrets(url="")
    verification = None  # A sender tells no digests.
    is_parked = False  # Its sender waits: no later process can take it up.

    def __init__(
        self, context: Context, settings: Settings, running: RunningImport, receiver: Receiver
    ) -> None:
        self.context = context
        self.settings = settings
        self.followers = {running.record.id: running}
        self._running = running
        self._receiver = receiver
        self._is_sent = named(running.record.method).flow is Flow.SEND
        self.settle: Settle | None = None if self._is_sent else self._stage

    @property
    def asked(self) -> Submission:
        """Return what was asked for, by the rule on plain uploads."""
        return asked_of_sent(self.settings, self._running.record)

    def story(self) -> Story:
        """Return what is kept with the image: a sender states no headers."""
        return Story(
            settings=self.settings,
            limits=self.context.in_force.of(self.settings),
            source_headers={},
            more={},
        )

    def change(self, **changes: Any) -> None:
        """Replace fields of the record."""
        self._running.change(**changes)

    def show(self, share: float) -> None:
        """Do nothing: the sender waits for the end, and sees its own progress."""

    async def close(self) -> None:
        """Let go of what came in."""
        await self._receiver.close()

    async def end(self, _running: RunningImport, failure: Failure | None) -> None:
        """Let the answer to the sender report a failure."""
        if failure is not None:
            raise failure

    async def kept(self, body: Complete, address: str, project_ids: Sequence[str]) -> None:
        """Do nothing: there is no URL to remember them by."""

    async def _stage(self, blob: Blob) -> Sequence[Failure | None]:
        stage = partial(self.context.index.uploads.stage, blob=blob)
        return [None if await end(self._running, Event.SUCCEED, STAGED, stage) else Cancelled()]
