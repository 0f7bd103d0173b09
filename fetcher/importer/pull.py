"""One pull and the imports that follow it, from the first request to everybody's verdict."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import structlog

from fetcher.errors import Cancelled, ChecksumMismatch, Failure, InternalFault, StoreFailed
from fetcher.guards.quota import QuotaCap
from fetcher.guards.url import check_url
from fetcher.importer import tracing
from fetcher.importer.allowance import coming, quota_cap
from fetcher.importer.answer import Unchanged
from fetcher.importer.attempts import Attempts
from fetcher.importer.budget import Budget
from fetcher.importer.commit import Story, activate_all, commit
from fetcher.importer.connections import Connections
from fetcher.importer.course import Course
from fetcher.importer.followers import Followers
from fetcher.importer.intake import Intake
from fetcher.importer.intakes import Intakes
from fetcher.importer.keeping import Keeping
from fetcher.importer.live import Live
from fetcher.importer.parts import Hooks, Parts
from fetcher.importer.promises import Promises, SumsFile, is_promised
from fetcher.importer.remote import look_up
from fetcher.importer.requests import plain_request, sums_request
from fetcher.importer.reuse import Reuse
from fetcher.importer.sources import Sources
from fetcher.importer.unbroken import unbroken
from fetcher.importer.verdicts import fail
from fetcher.index import Kept, Secrets
from fetcher.model import Phase, State
from fetcher.store.store import Reservation

log = structlog.get_logger()


class Pull:
    """Pulls one body for all imports that asked for it alike, under the limits in force when it began.

    Each import keeps its own record, its own promised digest and its own
    verdict; one that is cancelled leaves, and the others go on. The pull ends
    with the last of them.

    Args:
        kept: What an earlier process left of it, or a new id.
    """

    def __init__(self, parts: Parts, kept: Kept, connections: Connections, hooks: Hooks) -> None:
        self._parts = parts
        self._kept = kept
        self._connections = connections
        self._hooks = hooks
        self._settings = parts.settings()
        self._keeping = Keeping(parts.index, kept, self._settings.resume.save_seconds)
        self._followers = Followers(parts.index, hooks.ended)
        self._secrets = Secrets(url="")
        self._sums: SumsFile | None = None
        self._failed: dict[str, ChecksumMismatch] = {}
        self._coming = 0
        self._settled = asyncio.Event()
        self._is_open = True
        self._is_parked = False

    @property
    def id(self) -> str:
        """What its log lines carry, whichever import they are about."""
        return self._kept.id

    def expect(self) -> None:
        """One more import is about to join."""
        self._coming += 1
        self._settled.clear()

    def arrive(self, live: Live | None, secrets: Secrets | None) -> bool:
        """Let an expected import join, unless it came to nothing; False when it comes too late."""
        self._coming -= 1
        if not self._coming:
            self._settled.set()
        if live is None or secrets is None:
            return True
        if self._is_open:
            self._secrets = secrets
            self._followers.add(live)
        return self._is_open

    def leave(self, import_id: str) -> bool:
        """Let an import go that ended elsewhere; True when it was the last one and the pull should end."""
        self._followers.drop(import_id)
        self._hooks.ended(import_id)
        is_last = not len(self._followers) and not self._coming
        if is_last:
            self._close()
        return is_last

    def park(self) -> None:
        """From here on, whoever cancels the pull wants it to be taken up by a later process."""
        self._is_parked = True

    async def run(self) -> None:
        """Run to the end; every way it can end badly ends here, in the imports' verdicts."""
        try:
            await self._settled.wait()
            if len(self._followers):
                owner = next(iter(self._followers)).record.project_id
                with self._parts.store.reserve(owner) as reservation:
                    await self._pull(reservation)
        except Failure as failure:
            with suppress(StoreFailed):  # The next start finds it; the verdict must not be lost over it.
                await self._forget_kept()
            await self._end_all(failure)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("import.fault", pull_id=self._kept.id, error=repr(error))
            await self._end_all(InternalFault())
        finally:
            self._close()
            for live in self._followers:
                self._drop(live)

    async def _pull(self, reservation: Reservation) -> None:
        live = next(iter(self._followers))
        if live.record.submission.remote is not None:
            url = await look_up(self._parts.gate, live, self._secrets, self._settings)
            self._secrets = msgspec.structs.replace(self._secrets, url=url)
        record = live.record
        sources = Sources(self._secrets, self._settings, record.project_id, first=self._kept.source)
        budget = Budget(
            self._kept,
            total_seconds=self._settings.pace.total_seconds,
            max_bytes=record.submission.max_bytes,
            now=asyncio.get_running_loop().time,
        )
        course = Course(
            sources=sources,
            followers=self._followers,
            budget=budget,
            intakes=self._intakes(reservation),
            settings=self._settings,
            kept=self._kept,
            verify=self._verify,
            go=self._hooks.go,
            is_proven=self._is_proven,
        )
        attempts = Attempts(self._parts.gate, course, self._connections)
        saving = asyncio.create_task(self._keeping.save_often(attempts))
        try:
            self._sums = await self._fetch_sums(record.project_id)
            intake = await self._take(attempts)
            if intake is not None:
                await self._commit(intake, attempts)
        finally:
            saving.cancel()
            await asyncio.wait({saving})
            try:
                await unbroken(self._let_go(attempts))
            except StoreFailed as error:
                # The next start finds it as it is; what ended the pull must not be forgotten over it.
                log.error("pull.left", pull_id=self._kept.id, detail=str(error))  # noqa: TRY400 - a fact, not a fault

    async def _fetch_sums(self, project_id: str) -> SumsFile | None:
        request = sums_request(self._secrets, self._settings, project_id)
        if request is None:
            return None
        await self._hooks.go(check_url(request.file.url, self._settings).origin)
        return await SumsFile.fetch(self._parts.gate, request, self._settings)

    async def _take(self, attempts: Attempts) -> Intake | None:
        """Pull the bytes; None when everybody got those of an earlier pull."""
        reuse = Reuse(self._parts, self._settings, plain_request(self._secrets))
        attempts.known_etag = await reuse.find(self._followers)
        try:
            return await attempts.take_all()
        except Unchanged:
            for live, failure in await reuse.give(self._followers, self._promises({}), self._story(attempts)):
                await self._end(live, failure)
        return await attempts.take_all() if len(self._followers) else None

    def _intakes(self, reservation: Reservation) -> Intakes:
        return Intakes(
            parts=self._parts,
            settings=self._settings,
            kept=self._kept,
            claims=next(iter(self._followers)).record.submission,
            reservation=reservation,
            algorithms=self._algorithms,
            restart=self._followers.progress.restart,
            count=self._followers.receive,
            found=lambda verdict: self._followers.change(format=verdict),
            marked=self._keeping.mark,
            cap=self._quota_cap,
        )

    async def _quota_cap(self) -> QuotaCap | None:
        """What is left of a project's quota.

        A pull for several projects has none: each is held to its quota when its image is made.
        """
        projects = {live.record.project_id for live in self._followers}
        if len(projects) != 1:
            return None
        return await quota_cap(
            self._parts.index,
            self._settings,
            projects.pop(),
            lambda: coming(self._hooks.lives(), self._followers),
        )

    def _algorithms(self) -> list[str]:
        promised = self._promises({}).algorithms(live.record.submission for live in self._followers)
        return list(dict.fromkeys([*self._settings.checksum.computed, *sorted(promised)]))

    def _is_proven(self) -> bool:
        submissions = [live.record.submission for live in self._followers]
        return self._sums is not None or any(is_promised(one, self._settings) for one in submissions)

    def _promises(self, told: dict[str, str]) -> Promises:
        return Promises(self._settings, self._sums.found if self._sums else None, told)

    async def _verify(self, intake: Intake, told: dict[str, str]) -> ChecksumMismatch | None:
        """Compare with what each import was promised; from here on nobody joins."""
        self._hooks.seal()
        await self._settled.wait()
        self._is_open = False
        digests = intake.digests()
        self._followers.change(phase=Phase.VERIFYING, format=intake.format, digests=digests)
        self._failed = self._promises(told).check_each(list(self._followers), digests)
        is_proven = any(live.record.verified_by != "none" for live in self._followers)
        return next(iter(self._failed.values())) if self._failed and not is_proven else None

    async def _commit(self, intake: Intake, attempts: Attempts) -> None:
        for live in list(self._followers):
            if live.record.id in self._failed:
                await self._end(live, self._failed[live.record.id])
        lives = list(self._followers)
        if not lives:
            return
        failed: list[tuple[Live, Failure]] = []
        settle = partial(activate_all, self._parts.index, lives, story=self._story(attempts))

        async def make_visible() -> None:
            with tracing.span("commit"):
                ends = await commit(self._parts, lives, intake, settle)
            for live, failure in zip(lives, ends, strict=True):
                if failure is None:
                    await self._end(live, None)
                else:
                    failed.append((live, failure))

        await unbroken(make_visible())
        # Not a part of the above: an index that takes no verdict must not keep the service from stopping.
        for live, failure in failed:
            await self._end(live, failure)
        lost = {live.record.id for live, _failure in failed}
        projects = {live.record.project_id for live in lives if live.record.id not in lost}
        reuse = Reuse(self._parts, self._settings, plain_request(self._secrets))
        await reuse.remember(sorted(projects), attempts.etag, intake.digests()["sha256"])

    def _story(self, attempts: Attempts) -> Story:
        more: dict[str, Any] = {} if self._sums is None else {"sums": self._sums.story(self._settings)}
        return Story(settings=self._settings, source_headers=attempts.source_headers, more=more)

    async def _let_go(self, attempts: Attempts) -> None:
        """Keep what a later process can go on from, or leave no trace."""
        if self._is_parked and len(self._followers):
            await self._keeping.save(await attempts.park())
            self._followers.change(state=State.QUEUED, phase=None)
            with suppress(Cancelled):
                await self._followers.write()
            return
        await attempts.close()
        await self._forget_kept()

    async def _forget_kept(self) -> None:
        """Remove what an earlier process left: it may not even have come to being taken up."""
        if self._kept.staged:
            await self._parts.store.remove_staged(self._parts.store.staging / self._kept.staged)
        await self._keeping.drop()

    async def _end_all(self, failure: Failure) -> None:
        tracing.fail(failure.code)
        self._hooks.seal()
        await self._settled.wait()
        self._is_open = False
        for live in self._followers:
            await self._end(live, failure)

    async def _end(self, live: Live, failure: Failure | None) -> None:
        """Give an import its verdict; without a failure it has it already."""
        if failure is not None and not isinstance(failure, Cancelled):
            await fail(self._parts.index, live, failure)
        code = "ok" if failure is None else failure.code
        tracing.event("import.ended", import_id=live.record.id, image_id=live.record.image_id, code=code)
        self._drop(live)

    def _drop(self, live: Live) -> None:
        self._followers.drop(live.record.id)
        self._hooks.ended(live.record.id)

    def _close(self) -> None:
        self._is_open = False
        self._hooks.seal()
