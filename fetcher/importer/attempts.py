"""Trying sources until the bytes are in: resuming where that is safe, waiting where it may help."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.errors import ChecksumMismatch, Failure, Rejection
from fetcher.guards.pace import RateFloor
from fetcher.guards.size import check_declared
from fetcher.importer.answer import Answers, Asked, Unchanged
from fetcher.importer.connections import Connections
from fetcher.importer.course import Course
from fetcher.importer.intake import Intake
from fetcher.importer.retrying import OF_THE_BYTES, Retrying
from fetcher.importer.tracing import span
from fetcher.importer.validator import validator_of
from fetcher.importer.verdicts import truth_of, verdict_of
from fetcher.index import Kept
from fetcher.model import Phase, State
from fetcher.pipeline import PeerClock
from fetcher.transport import Gate, Source, is_strong

log = structlog.get_logger()

HOLD_BYTES = 67_108_864  # Less than this costs less to pull in vain than every import's further commit.


class _Nothing:
    """A peer without bytes: all have come already."""

    async def read(self) -> bytes:
        return b""


class Attempts:
    """All attempts of one pull.

    Attributes:
        known_etag: Of a version that is in the store; the first request asks whether it is still that one.
        etag: Of the version that was pulled, whole and from the first source.
        source_headers: Of the last answer with bytes.
    """

    def __init__(self, gate: Gate, course: Course, connections: Connections) -> None:
        self._course = course
        self._followers = course.followers
        self._sources = course.sources
        self._answers = Answers(gate, course.sources, course.settings, connections, course.followers.add_hop)
        self._retrying = Retrying(course.sources, course.settings.retry, barren=course.kept.barren)
        self._intake: Intake | None = None
        self._validator = course.kept.validator
        self._validated = course.kept.source
        self._declared = course.kept.declared_bytes
        self._told_digests: dict[str, str] = {}
        self._is_pieced = False
        self._has_begun = False
        self.source_headers: dict[str, str] = {}
        self.etag: str | None = None
        self.known_etag: str | None = None

    async def take_all(self) -> Intake:
        """Pull until all bytes are in and every guard has passed them; the intake stays with the attempts.

        Raises:
            DeadlinePassed: All attempts together took too long.
            Unchanged: The source still has the version that it was asked about.
            Failure: The last attempt's, or the first that is not worth another.
        """
        budget = self._course.budget
        try:
            async with asyncio.timeout(max(budget.seconds_left, 0)):
                if self._intake is None and not self._has_begun:
                    self._has_begun = True
                    self._intake = await self._course.intakes.restore()
                while True:
                    try:
                        with span("attempt"):
                            return await self._attempt()
                    except Failure as failure:
                        await self._pause(failure)
        except TimeoutError as error:
            raise budget.passed() from error

    async def close(self) -> None:
        """Drop what was taken in."""
        if self._intake is not None:
            intake, self._intake = self._intake, None
            await intake.close()

    async def park(self) -> Kept:
        """Leave what was taken in to a later process, if that can go on from there."""
        intake, kept = self._intake, self.kept()
        if not self._has_begun:
            return kept
        if intake is None or not self._is_resumable() or not intake.received_bytes:
            await self.close()
            return msgspec.structs.replace(kept, staged="", kept_bytes=0, kept_sha256="")
        self._intake = None
        try:
            size, sha256 = await intake.park()
        except Failure:
            await intake.close()
            return msgspec.structs.replace(kept, staged="", kept_bytes=0, kept_sha256="")
        await intake.close(is_kept=True)
        return msgspec.structs.replace(
            kept, staged=intake.staged.path.name, kept_bytes=size, kept_sha256=sha256
        )

    def kept(self) -> Kept:
        """What a crash at this moment would leave."""
        budget, intake = self._course.budget, self._intake
        if not self._has_begun:  # What an earlier process left has not been taken up yet.
            spent = {"spent_bytes": budget.spent_bytes, "spent_seconds": budget.spent_seconds}
            return msgspec.structs.replace(self._course.kept, **spent)
        is_kept = intake is not None and intake.is_marked and self._is_resumable()
        point = intake.checkpoint() if intake is not None and is_kept else None
        return msgspec.structs.replace(
            self._course.kept,
            staged=intake.staged.path.name if intake is not None and is_kept else "",
            source=self._validated,
            validator=self._validator,
            declared_bytes=self._declared,
            kept_bytes=point.size if point else 0,
            kept_sha256=point.sha256 if point else "",
            spent_bytes=budget.spent_bytes,
            spent_seconds=budget.spent_seconds,
            barren=self._retrying.barren,
        )

    def _is_resumable(self) -> bool:
        return self._validator is not None or self._course.is_proven()

    async def _attempt(self) -> Intake:
        offset, if_range = self._where()
        self._followers.begin_attempt(self._sources.shown, offset)
        self._followers.change(state=State.RUNNING, phase=Phase.CONNECTING)
        await self._followers.write()
        if self._intake is not None and offset and offset == self._declared:
            await self._intake.take(_Nothing(), PeerClock(asyncio.get_running_loop().time))
        else:
            await self._course.go(self._sources.origin)
            await self._pull(offset, if_range)
        assert self._intake is not None
        mismatch = await self._course.verify(self._intake, self._told_digests)
        if mismatch is not None and self._may_differ(mismatch):
            raise mismatch
        self._finish_attempt(None, 0.0)
        return self._intake

    def _may_differ(self, mismatch: ChecksumMismatch) -> bool:
        pieced = self._retrying.may_begin_anew(mismatch, is_pieced=self._is_pieced)
        return pieced or self._retrying.may_ask_another()

    def _where(self) -> tuple[int, str | None]:
        """From which byte on to ask, and what the range is bound to."""
        received = self._intake.received_bytes if self._intake is not None else 0
        if received and self._validator and self._validated == self._sources.current:
            return received, self._validator
        return (received, None) if self._course.is_proven() else (0, None)

    async def _pull(self, offset: int, if_range: str | None) -> None:
        known_etag, self.known_etag = self.known_etag, None
        asked = Asked(
            offset=offset,
            if_range=if_range,
            declared_bytes=self._declared,
            known_etag=None if offset or self._sources.current else known_etag,
        )
        async with AsyncExitStack() as stack:
            try:
                source = await self._answers.open(stack, asked)
            except Unchanged:
                self._finish_attempt(None, 0.0)
                raise
            await self._take(source, stack)

    async def _take(self, source: Source, stack: AsyncExitStack) -> None:
        course = self._course
        check_declared(source.declared_bytes, max_bytes=course.intakes.claims.max_bytes)
        intake = await self._intake_for(source)
        if source.declared_bytes is not None:
            intake.reservation.expect(source.declared_bytes - intake.received_bytes)
        self._note(source, intake)
        if (source.declared_bytes or 0) >= HOLD_BYTES:
            await self._followers.write()  # Holds so much of the project's quota before the first byte.
        clock = PeerClock(asyncio.get_running_loop().time)
        before = intake.received_bytes
        try:
            async with self._answers.spread(source, stack, self._use) as peer:
                await intake.take(peer, clock, [RateFloor(course.settings, clock)])
        finally:
            course.budget.spent_bytes += intake.received_bytes - before

    def _note(self, source: Source, intake: Intake) -> None:
        self._is_pieced = intake.received_bytes > 0
        self._validator = validator_of(source) or (self._validator if self._is_pieced else None)
        self._validated = self._sources.current
        self._declared = source.declared_bytes
        # What was said with the first bytes holds for those that follow.
        self._told_digests = (self._told_digests if self._is_pieced else {}) | source.digests
        self.source_headers = source.headers
        is_first = not self._sources.current and not self._is_pieced
        self.etag = source.etag if is_first and is_strong(source.etag) else None
        self._followers.change_attempt(offset=source.offset)
        self._followers.change(phase=Phase.PULLING, expected_bytes=source.declared_bytes)

    def _use(self, connections: int) -> None:
        if connections > self._followers.attempts[-1].connections:
            self._is_pieced = True
            self._followers.change_attempt(connections=connections)

    async def _intake_for(self, source: Source) -> Intake:
        """The intake that the source's first byte belongs to: the present one, or a fresh one."""
        self._course.budget.check_bytes()
        if self._intake is not None and source.offset == self._intake.received_bytes and source.offset > 0:
            return self._intake
        await self.close()
        self._intake = await self._course.intakes.fresh()
        return self._intake

    async def _pause(self, failure: Failure) -> None:
        """Wait for the next attempt.

        Raises:
            Failure: The one given, when there is none.
        """
        attempt = self._followers.attempts[-1] if self._followers.attempts else None
        received = self._intake.received_bytes if self._intake is not None else 0
        is_gain = attempt is not None and self._is_resumable() and received > attempt.offset
        if isinstance(failure, (*OF_THE_BYTES, Rejection)):
            is_gain = False
            await self.close()
        if attempt is not None and attempt.connections > 1:
            self._answers.is_narrow = True
        number = len(self._followers.attempts)
        wait = self._retrying.next(failure, number, is_gain=is_gain, is_pieced=self._is_pieced)
        self._finish_attempt(failure, wait or 0.0)
        if wait is None:
            raise failure
        self._followers.change(state=State.WAITING, phase=None)
        await self._followers.write()
        await asyncio.sleep(wait)

    def _finish_attempt(self, failure: Failure | None, wait: float) -> None:
        if not self._followers.attempts or self._followers.attempts[-1].code is not None:
            return
        verdict = verdict_of(failure) if failure else None
        attempt = self._followers.attempts[-1]
        if failure is not None:
            addresses = [hop.address for hop in attempt.hops]
            log.info("attempt.failed", url=attempt.url, addresses=addresses, **truth_of(failure))
        self._followers.change_attempt(
            ended_at=datetime.now(UTC),
            code=verdict.code if verdict else "ok",
            reason=verdict.title if verdict else None,
            received_bytes=max(0, self._followers.progress.received_bytes - attempt.offset),
            wait_seconds=wait,
        )
