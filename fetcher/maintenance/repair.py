"""Pulling the bytes of a faulty blob again, through the gate, from where they came."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

from fetcher.errors import ChecksumMismatch, Failure, StoreFailed
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.stream.size import check_declared
from fetcher.importer.context import Context
from fetcher.importer.methods.registry import named
from fetcher.importer.receive.receiver import Receiver
from fetcher.index.values import BlobState
from fetcher.model import Hop, Submission
from fetcher.pipeline import PeerClock
from fetcher.store.protocol import Staged
from fetcher.transport import SourceRequest

log = structlog.get_logger()

NO_RECORD = "No image says where these bytes came from."
SENT = "They were sent to the service, so there is no URL to ask."
CUT_SHORT = "The URL {url} carried a secret, which is not kept."


def split_sources(stories: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """From provenance to the URLs that can be asked again, each with its project, and why others cannot."""
    sources: dict[tuple[str, str], None] = {}
    reasons: dict[str, None] = {}
    for story in stories:
        submitted = story.get("submitted", {})
        url = str(submitted.get("url") or "")
        if (reason := named(str(story.get("method"))).not_again) is not None:
            reasons[reason] = None
        elif not url:
            reasons[SENT] = None
        elif "REDACTED" in url:
            reasons[CUT_SHORT.format(url=url)] = None
        else:
            sources[url, str(submitted.get("project_id", ""))] = None
    if not sources and not reasons:
        reasons[NO_RECORD] = None
    return list(sources), list(reasons)


class Repairer:
    """Brings back bytes that the disk lost; only bytes of the very same digest count."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def mend(self, blob: BlobState) -> str | None:
        """Try every source on record; None when the bytes are back, else why they are not.

        Raises:
            StoreFailed: The disk or the index refused; another time may go well.
        """
        sources, reasons = split_sources(await self._context.index.maintenance.sources(blob.sha256))
        for url, project_id in sources:
            try:
                await self._pull(blob, url, project_id)
            except StoreFailed:
                raise  # Ours, not the source's: it says nothing about whether the bytes can come back.
            except (Failure, TimeoutError) as error:
                why = str(error) or "It took too long."
                reasons.append(f"{url}: {why}")
                log.info("mend.failed", sha256=blob.sha256, url=url, detail=why)
            else:
                return None
        return " ".join(reasons)

    async def _pull(self, blob: BlobState, url: str, project_id: str) -> None:
        settings = self._context.settings()
        request = SourceRequest(url=url, project=project_id)
        with self._context.store.reserve() as reservation:
            async with asyncio.timeout(settings.pace.total_seconds):
                async with self._context.gate.open(request, settings, _unseen) as source:
                    check_declared(source.declared_bytes, max_bytes=blob.size)
                    reservation.expect(blob.size)
                    submission = Submission(url=url, max_bytes=blob.size)
                    receiver = Receiver(
                        staged=await self._staged(blob.sha256),
                        store=self._context.store,
                        worker_pool=self._context.worker_pool,
                        settings=settings,
                        chain=Chain(
                            GuardContext(purpose=Purpose.REPAIR, settings=settings, submission=submission)
                        ),
                        algorithms=["sha256"],
                        reservation=reservation,
                        count=lambda _size: None,
                        times=self._context.guard_times,
                    )
                    try:
                        clock = PeerClock(asyncio.get_running_loop().time)
                        await receiver.take(source, clock)
                        await self._replace(blob, receiver)
                    finally:
                        await receiver.close()

    async def _staged(self, sha256: str) -> Staged:
        return await self._context.store.stage(f"mend-{sha256[:32]}", 0)

    async def _replace(self, blob: BlobState, receiver: Receiver) -> None:
        actual = receiver.digests()["sha256"]
        if actual != blob.sha256:
            raise ChecksumMismatch(algorithm="sha256", expected=blob.sha256, actual=actual, source="store")
        async with self._context.store.holding(blob.sha256):
            if await self._context.index.maintenance.find(blob.sha256) is None:
                return  # Deleted meanwhile: nobody needs the bytes.
            await self._context.store.commit(receiver.staged, blob.sha256)
            await self._context.index.maintenance.mark(blob.sha256, None, datetime.now(UTC))


def _unseen(_hop: Hop) -> None:
    """Nobody follows a mend."""
