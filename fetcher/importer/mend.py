"""Pulling the bytes of a faulty blob again, through the gate, from where they came."""

import asyncio
from datetime import UTC, datetime

import structlog

from fetcher.errors import ChecksumMismatch, Failure
from fetcher.guards.pace import RateFloor
from fetcher.guards.size import check_declared
from fetcher.importer.intake import Intake
from fetcher.importer.parts import Parts
from fetcher.index import BlobState
from fetcher.model import Hop, Submission
from fetcher.pipeline import PeerClock
from fetcher.store import Staged
from fetcher.transport import SourceRequest

log = structlog.get_logger()


class Mender:
    """Brings back bytes that the disk lost; only bytes of the very same digest count."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def mend(self, blob: BlobState) -> bool:
        """Try every source on record; False when none has the bytes any more."""
        for url, project_id in await self._sources(blob.sha256):
            try:
                await self._pull(blob, url, project_id)
            except (Failure, TimeoutError) as error:
                log.info("mend.failed", sha256=blob.sha256, url=url, detail=str(error) or "took too long")
            else:
                return True
        return False

    async def _sources(self, sha256: str) -> list[tuple[str, str]]:
        """Where the bytes came from; a URL whose secrets were left out is of no use any more."""
        found = []
        for story in await self._parts.index.upkeep.sources(sha256):
            submitted = story.get("submitted", {})
            url = str(submitted.get("url") or "")
            if url and "REDACTED" not in url:
                found.append((url, str(submitted.get("project_id", ""))))
        return list(dict.fromkeys(found))

    async def _pull(self, blob: BlobState, url: str, project_id: str) -> None:
        settings = self._parts.settings()
        request = SourceRequest(url=url, project=project_id)
        with self._parts.store.reserve() as reservation:
            async with asyncio.timeout(settings.pace.total_seconds):
                async with self._parts.gate.open(request, settings, _unseen) as source:
                    check_declared(source.declared_bytes, max_bytes=blob.size)
                    reservation.expect(blob.size)
                    intake = Intake(
                        staged=await self._staged(blob.sha256),
                        store=self._parts.store,
                        workshop=self._parts.workshop,
                        settings=settings,
                        submission=Submission(url=url, max_bytes=blob.size),
                        is_judged=False,  # These very bytes were judged when they came.
                        algorithms=["sha256"],
                        reservation=reservation,
                        count=lambda _size: None,
                        times=self._parts.guard_times,
                    )
                    try:
                        clock = PeerClock(asyncio.get_running_loop().time)
                        await intake.take(source, clock, [RateFloor(settings, clock)])
                        await self._replace(blob, intake)
                    finally:
                        await intake.close()

    async def _staged(self, sha256: str) -> Staged:
        return await self._parts.store.stage(f"mend-{sha256[:32]}", 0)

    async def _replace(self, blob: BlobState, intake: Intake) -> None:
        actual = intake.digests()["sha256"]
        if actual != blob.sha256:
            raise ChecksumMismatch(algorithm="sha256", expected=blob.sha256, actual=actual, source="store")
        async with self._parts.store.holding(blob.sha256):
            if await self._parts.index.upkeep.find(blob.sha256) is None:
                return  # Deleted meanwhile: nobody needs the bytes.
            await self._parts.store.commit(intake.staged, blob.sha256, replace=True)
            await self._parts.index.upkeep.mark(blob.sha256, None, datetime.now(UTC))


def _unseen(_hop: Hop) -> None:
    """Nobody follows a mend."""
