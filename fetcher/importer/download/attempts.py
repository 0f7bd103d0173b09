"""Trying sources until the bytes are in: resuming where that is safe, waiting where it may help."""

import asyncio
from contextlib import AsyncExitStack, nullcontext
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.aio.retry import retry_while_short, shortage_wait
from fetcher.convert.streaming import NotStreamable
from fetcher.errors import ChecksumMismatch, Failure, Rejection, Shortage
from fetcher.guards.stream.size import check_declared, check_length
from fetcher.importer.download.budget import Budget
from fetcher.importer.download.open_source import RangeRequest, SourceOpener, Unchanged
from fetcher.importer.download.protocol import Job
from fetcher.importer.download.retry_policy import OF_THE_BYTES, RetryPolicy, may_ask_elsewhere
from fetcher.importer.download.sources import Sources
from fetcher.importer.download.version import Version
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.receive.receiver_factory import ReceiverFactory
from fetcher.importer.tracing import span
from fetcher.index.values import ResumeState
from fetcher.lifecycle import Event
from fetcher.model import Phase
from fetcher.pipeline import PeerClock
from fetcher.shortage import is_shortage
from fetcher.transport import Source

log = structlog.get_logger()

HOLD_BYTES = 67_108_864  # Less than this costs less to pull in vain than every import's further commit.

# Added to the reason of an attempt that would be the last one if the submitted URL itself had failed so.
ELSEWHERE = " A redirect led there, so the submitted URL is asked again: it may lead to another mirror."


class _Nothing:
    """A peer without bytes: all have come already."""

    async def read(self) -> bytes:
        return b""


class Attempts:
    """All attempts of one job.

    Attributes:
        known_etag: Of a version that is in the store; the first request asks whether it is still that one.
        version: What the source has stated about the bytes that are in.
    """

    def __init__(
        self, job: Job, sources: Sources, opener: SourceOpener, receivers: ReceiverFactory, budget: Budget
    ) -> None:
        self._job = job
        self._subscribers = job.subscribers
        self._sources = sources
        self._opener = opener
        self._receivers = receivers
        self._budget = budget
        self._retry_policy = RetryPolicy(
            sources, job.settings.retry, consecutive_failures=job.resume_state.consecutive_failures
        )
        self._receiver: Receiver | None = None
        self.version = Version(job.resume_state)
        self._has_begun = False
        self._shortages = 0
        self.known_etag: str | None = None

    async def take_all(self) -> Receiver:
        """Pull until all bytes are in and every guard has passed them; the receiver stays with the attempts.

        Raises:
            DeadlinePassed: All attempts together took too long.
            Unchanged: The source still has the version that it was asked about.
            Failure: The last attempt's, or the first that is not worth another.
        """
        budget = self._budget
        try:
            async with asyncio.timeout(max(budget.seconds_left, 0)):
                if self._receiver is None and not self._has_begun:
                    self._has_begun = True
                    self._receiver = await retry_while_short(self._receivers.restore)
                while True:
                    try:
                        with span("attempt") if self._job.context.is_traced else nullcontext():
                            return await self._attempt_streaming()
                    except Shortage as failure:
                        await self._wait_for_resources(failure)
                    except Failure as failure:
                        await self._pause(failure)
                    except (OSError, MemoryError, RuntimeError) as error:
                        if not is_shortage(error):
                            raise
                        await self._wait_for_resources(Shortage(reason=str(error)))
        except TimeoutError as error:
            raise budget.passed() from error

    async def close(self) -> None:
        """Drop what was taken in."""
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            await receiver.close()

    async def park(self) -> ResumeState:
        """Leave what was taken in to a later process, if that can go on from there."""
        receiver, resume_state = self._receiver, self.resume_state()
        if not self._has_begun:
            return resume_state
        is_lost = receiver is None or not receiver.is_resumable or not receiver.received_bytes
        if receiver is None or is_lost or not self._is_resumable():
            await self.close()
            return msgspec.structs.replace(resume_state, staged="", kept_bytes=0, kept_digest="")
        self._receiver = None
        try:
            size, digest = await receiver.park()
        except Failure:
            await receiver.close()
            return msgspec.structs.replace(resume_state, staged="", kept_bytes=0, kept_digest="")
        await receiver.close(is_kept=True)
        return msgspec.structs.replace(
            resume_state, staged=receiver.staged.name, kept_bytes=size, kept_digest=digest
        )

    def resume_state(self) -> ResumeState:
        """Return what a crash at this moment would leave."""
        budget, receiver = self._budget, self._receiver
        if not self._has_begun:  # What an earlier process left has not been taken up yet.
            spent = {"spent_bytes": budget.spent_bytes, "spent_seconds": budget.spent_seconds}
            return msgspec.structs.replace(self._job.resume_state, **spent)
        is_kept = receiver is not None and receiver.is_marked and self._is_resumable()
        point = receiver.checkpoint() if receiver is not None and is_kept else None
        return msgspec.structs.replace(
            self._job.resume_state,
            staged=receiver.staged.name if receiver is not None and is_kept else "",
            source=self.version.source,
            validator=self.version.validator,
            declared_bytes=self.version.declared_bytes,
            kept_bytes=point.size if point else 0,
            kept_digest=point.digest if point else "",
            spent_bytes=budget.spent_bytes,
            spent_seconds=budget.spent_seconds,
            consecutive_failures=self._retry_policy.consecutive_failures,
        )

    def _is_resumable(self) -> bool:
        return self.version.validator is not None or self._job.verification.is_proven()

    async def _attempt(self) -> Receiver:
        offset, if_range = self._where()
        self._subscribers.begin_attempt(self._sources.url.redacted, offset)
        if len(self._subscribers.attempts) > 1:  # The claim has written the first one.
            await self._subscribers.write()
        if self._receiver is not None and offset and offset == self.version.declared_bytes:
            await self._receiver.take(_Nothing(), PeerClock(asyncio.get_running_loop().time), is_proven=True)
        else:
            await self._job.place.go(self._sources.url.origin)
            await self._pull(offset, if_range)
        assert self._receiver is not None
        mismatch = await self._job.verify(self._receiver, self.version.stated_digests)
        if mismatch is not None and self._may_differ(mismatch):
            raise mismatch
        self._subscribers.finish_attempt(None, 0.0)
        return self._receiver

    def _may_differ(self, mismatch: ChecksumMismatch) -> bool:
        pieced = self._retry_policy.may_begin_anew(mismatch, is_pieced=self.version.is_pieced)
        attempts = self._subscribers.attempts
        is_led = may_ask_elsewhere(mismatch, attempts[-1].hops)
        once_more = is_led and self._retry_policy.may_ask_once_more(len(attempts))
        return pieced or once_more or self._retry_policy.may_ask_another()

    def _where(self) -> tuple[int, str | None]:
        """From which byte on to ask, and what the range is bound to."""
        received = self._receiver.received_bytes if self._receiver is not None else 0
        if not received:
            return 0, None
        if self.version.binds(self._sources.current):
            return received, self.version.validator
        return (received, None) if self._job.verification.is_proven() else (0, None)

    async def _pull(self, offset: int, if_range: str | None) -> None:
        known_etag, self.known_etag = self.known_etag, None
        asked = RangeRequest(
            offset=offset,
            if_range=if_range,
            declared_bytes=self.version.declared_bytes,
            known_etag=None if offset or self._sources.current else known_etag,
        )
        async with AsyncExitStack() as stack:
            try:
                source = await self._opener.open(stack, asked)
            except Unchanged:
                self._subscribers.finish_attempt(None, 0.0)
                raise
            await self._take(source, stack)

    async def _take(self, source: Source, stack: AsyncExitStack) -> None:
        check_declared(source.declared_bytes, max_bytes=self._receivers.claims.max_bytes)
        is_verified = source.length_verified
        is_proven = is_verified or bool(source.digests) or self._job.verification.is_proven()
        check_length(is_verified=is_verified, is_proven=is_proven, settings=self._job.settings)
        self._job.verification.opened(source)
        receiver = await self._receiver_for(source)
        if source.declared_bytes is not None:
            receiver.reservation.expect(source.declared_bytes - receiver.received_bytes)
        self._note(source, receiver)
        if (source.declared_bytes or 0) >= HOLD_BYTES:
            await self._subscribers.write()  # Holds so much of the project's quota before the first byte.
        clock = PeerClock(asyncio.get_running_loop().time)
        before = receiver.received_bytes
        try:
            async with self._opener.spread(source, stack, self._use) as peer:
                await receiver.take(peer, clock, is_proven=is_proven)
        finally:
            self._budget.spent_bytes += receiver.received_bytes - before

    def _note(self, source: Source, receiver: Receiver) -> None:
        self.version.note(source, self._sources.current, receiver.received_bytes)
        self._subscribers.change(
            {"offset": source.offset},
            phase=Phase.PULLING,
            expected_bytes=source.declared_bytes,
            length_verified=source.length_verified,
        )

    def _use(self, connections: int) -> None:
        if connections > self._subscribers.attempts[-1].connections:
            self.version.is_pieced = True
            self._subscribers.change({"connections": connections})

    async def _receiver_for(self, source: Source) -> Receiver:
        """Return the receiver that the source's first byte belongs to: the present one, or a fresh one."""
        self._budget.check_bytes()
        if (
            self._receiver is not None
            and source.offset == self._receiver.received_bytes
            and source.offset > 0
        ):
            return self._receiver
        await self.close()
        self._receiver = await self._receivers.fresh(source.digests)
        return self._receiver

    async def _attempt_streaming(self) -> Receiver:
        """Pull once; an image that cannot be converted while it comes in is pulled again, as a whole file."""
        try:
            return await self._attempt()
        except NotStreamable as surprise:
            log.info("attempt.staged", pull_id=self._job.resume_state.id, reason=surprise.reason)
            self._subscribers.change(
                {
                    "code": "ok",
                    "reason": f"Pulled again, to be converted from a complete file: {surprise.reason}.",
                    "ended_at": datetime.now(UTC),
                    "received_bytes": self._subscribers.progress.received_bytes,
                }
            )
            await self.close()
            self._receivers.streams = False
            return await self._attempt()

    async def _wait_for_resources(self, failure: Shortage) -> None:
        """Wait for what the machine is short of; no source is to blame, and no attempt is used up."""
        if self._receiver is not None and self._receiver.is_broken:
            await self.close()
        self._shortages += 1
        wait = shortage_wait(self._shortages)
        log.warning("attempt.short", detail=str(failure), again_in_seconds=wait)
        self._subscribers.drop_attempt()
        self._subscribers.move(Event.PAUSE, phase=None)
        await asyncio.sleep(wait)

    async def _pause(self, failure: Failure) -> None:
        """Wait for the next attempt.

        Raises:
            Failure: The one given, when there is none.
        """
        attempt = self._subscribers.attempts[-1] if self._subscribers.attempts else None
        received = self._receiver.received_bytes if self._receiver is not None else 0
        is_gain = attempt is not None and self._is_resumable() and received > attempt.offset
        is_lost = self._receiver is not None and self._receiver.is_broken
        if is_lost or isinstance(failure, (*OF_THE_BYTES, Rejection)):
            is_gain = False
            await self.close()
        if attempt is not None and attempt.connections > 1:
            self._opener.is_narrow = True
        number = len(self._subscribers.attempts)
        hops = attempt.hops if attempt is not None else ()
        wait = self._retry_policy.next(
            failure, number, is_gain=is_gain, is_pieced=self.version.is_pieced, hops=hops
        )
        if wait is not None:
            wait = max(wait, self._opener.quiet_seconds())
        is_of_a_mirror = may_ask_elsewhere(failure, hops) and not failure.public().is_retryable()
        self._subscribers.finish_attempt(
            failure, wait or 0.0, ELSEWHERE if wait is not None and is_of_a_mirror else ""
        )
        if wait is None:
            raise failure
        self._subscribers.move(Event.PAUSE, phase=None)
        await self._subscribers.write()
        await asyncio.sleep(wait)
