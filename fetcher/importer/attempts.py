"""Trying a source until its bytes are in: resuming where that is safe, waiting where it may help."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fetcher.config import Retry, Settings
from fetcher.errors import (
    ChecksumMismatch,
    DeadlinePassed,
    Failure,
    FormatMismatch,
    SourceStatus,
    TooManyBytes,
)
from fetcher.guards.pace import RateFloor
from fetcher.guards.size import check_declared
from fetcher.importer.intake import Intake
from fetcher.importer.live import Live
from fetcher.importer.tracing import span
from fetcher.importer.verdicts import verdict_of
from fetcher.model import Attempt, Phase, State
from fetcher.pipeline import PeerClock
from fetcher.transport import Gate, Source, SourceRequest, is_strong


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What attempts ask of the import they belong to.

    Args:
        fresh: Makes an empty intake, whenever the bytes must begin anew.
        write: Writes the record down, at every change that a restart must know.
        verify: Judges a complete intake; raises what is wrong with it.
    """

    fresh: Callable[[], Awaitable[Intake]]
    write: Callable[[], Awaitable[None]]
    verify: Callable[[Intake], None]


def wait_seconds(failure: Failure, number: int, retry: Retry) -> float:
    """How long to wait after a failed attempt: doubled each time, with jitter, or as the source asks."""
    asked = failure.retry_after_seconds if isinstance(failure, SourceStatus) else None
    if asked is not None:
        return min(max(asked, 0.0), retry.max_retry_after_seconds)
    backoff: float = min(retry.first_wait_seconds * 2 ** (number - 1), retry.max_wait_seconds)
    return backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


class Attempts:
    """All attempts of one pull.

    Args:
        live: The running import, told of every attempt and hop.
        request: The URL with its secrets, and the submitter's headers.
        fresh: Makes an empty intake, whenever the bytes must begin anew.
        steps: What the attempts ask of their import.
    """

    def __init__(
        self, gate: Gate, live: Live, request: SourceRequest, settings: Settings, steps: Steps
    ) -> None:
        self._gate = gate
        self._live = live
        self._request = request
        self._settings = settings
        self._steps = steps
        self._intake: Intake | None = None
        self._validator: str | None = None
        self._spent_bytes = 0
        self.source_headers: dict[str, str] = {}

    async def take_all(self) -> Intake:
        """Pull until all bytes are in and every guard has passed them; the intake is the caller's to close.

        Raises:
            DeadlinePassed: All attempts together took too long.
            Failure: The last attempt's, or the first that is not worth another.
        """
        try:
            async with asyncio.timeout(self._settings.pace.total_seconds):
                return await self._take_all()
        except TimeoutError as error:
            raise DeadlinePassed(total_seconds=self._settings.pace.total_seconds) from error

    async def close(self) -> None:
        """Drop what was taken in."""
        if self._intake is not None:
            intake, self._intake = self._intake, None
            await intake.close()

    async def _take_all(self) -> Intake:
        number = 0
        while True:
            number += 1
            try:
                with span("attempt", number=number):
                    intake = await self._attempt(number)
            except Failure as failure:
                wait = self._wait_after(failure, number)
                self._finish_attempt(failure, wait or 0.0)
                if wait is None:
                    raise
                self._live.change(state=State.WAITING, phase=None)
                await self._steps.write()
                await asyncio.sleep(wait)
            else:
                self._finish_attempt(None, 0.0)
                return intake

    def _wait_after(self, failure: Failure, number: int) -> float | None:
        """How long to wait for the next attempt; None when there is none."""
        retry = self._settings.retry
        if number >= retry.attempts:
            return None
        if failure.public().is_retryable():
            return wait_seconds(failure, number, retry)
        resumed = self._live.record.attempts[-1].offset > 0
        if resumed and isinstance(failure, ChecksumMismatch | FormatMismatch):
            self._validator = None
            return 0.0  # The source may have changed between the parts: once more, from the first byte.
        return None

    async def _attempt(self, number: int) -> Intake:
        offset = self._intake.received_bytes if self._intake and self._validator else 0
        attempt = Attempt(number=number, started_at=datetime.now(UTC), offset=offset)
        attempts = (*self._live.record.attempts, attempt)
        self._live.change(state=State.RUNNING, phase=Phase.CONNECTING, attempts=attempts)
        await self._steps.write()
        request = SourceRequest(
            url=self._request.url,
            headers=self._request.headers,
            offset=offset,
            if_range=self._validator if offset else None,
        )
        async with self._gate.open(request, self._settings, self._live.add_hop) as source:
            intake = await self._take(source)
        self._steps.verify(intake)
        return intake

    async def _take(self, source: Source) -> Intake:
        max_bytes = self._live.record.submission.max_bytes
        check_declared(source.declared_bytes, max_bytes=max_bytes)
        intake = await self._intake_for(source)
        if source.declared_bytes is not None:
            intake.reservation.expect(source.declared_bytes - intake.received_bytes)
        self.source_headers = source.headers
        self._validator = source.etag if source.accepts_ranges and is_strong(source.etag) else None
        self._live.change_attempt(offset=source.offset)
        self._live.change(phase=Phase.PULLING, expected_bytes=source.declared_bytes)
        clock = PeerClock(asyncio.get_running_loop().time)
        floor = RateFloor(self._settings, clock)
        before = intake.received_bytes
        try:
            await intake.take(source, clock, [floor])
        finally:
            self._spent_bytes += intake.received_bytes - before
        return intake

    async def _intake_for(self, source: Source) -> Intake:
        """The intake that the source's first byte belongs to: the present one, or a fresh one."""
        if self._spent_bytes > 2 * self._live.record.submission.max_bytes:
            raise TooManyBytes(max_bytes=self._live.record.submission.max_bytes)
        if self._intake is not None and source.offset == self._intake.received_bytes and source.offset > 0:
            return self._intake
        await self.close()
        self._live.restart()
        self._intake = await self._steps.fresh()
        return self._intake

    def _finish_attempt(self, failure: Failure | None, wait: float) -> None:
        verdict = verdict_of(failure) if failure else None
        attempt = self._live.record.attempts[-1]
        self._live.change_attempt(
            ended_at=datetime.now(UTC),
            code=verdict.code if verdict else "ok",
            reason=verdict.title if verdict else None,
            received_bytes=max(0, self._live.received_bytes - attempt.offset),
            wait_seconds=wait,
        )
