"""Pulling the bytes of a faulty blob again, through the gate, from where they came."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import structlog

from fetcher.config import Settings
from fetcher.convert.streaming import NotStreamable
from fetcher.errors import ChecksumMismatch, Failure, StoreFailed
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.request.url import CheckedUrls
from fetcher.guards.stream.size import check_declared
from fetcher.importer.context import Context
from fetcher.importer.methods.registry import named
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.records.requests import AS_RECEIVED
from fetcher.importer.schemes.registry import is_elsewhere
from fetcher.importer.schemes.repeat import is_public, repeat_request
from fetcher.importer.schemes.scheme import Asked
from fetcher.importer.stages.convert import Conversion
from fetcher.index.values import BlobState, Secrets
from fetcher.model import Hop, Submission, algorithm_of
from fetcher.pipeline import PeerClock
from fetcher.store.protocol import Staged
from fetcher.store.reservation import Reservation
from fetcher.transport import SourceRequest

log = structlog.get_logger()

NO_RECORD = "No image says where these bytes came from."
SENT = "They were sent to the service, so there is no URL to ask."
ELSEWHERE = "What opens {url} is not kept: import it once more, which brings the bytes back."
CUT_SHORT = "The URL {url} carried a secret, which is not kept."


def split_sources(stories: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """From provenance to the URLs that can be asked again, each with its project, and why others cannot."""
    sources: dict[tuple[str, str], None] = {}
    reasons: dict[str, None] = {}
    for story in stories:
        submitted = story.get("submitted", {})
        url = str(submitted.get("url") or "")
        if (reason := named(str(story.get("method"))).unrepeatable_reason) is not None:
            reasons[reason] = None
        elif not url:
            reasons[SENT] = None
        elif is_elsewhere(url) and not is_public(submitted.get("source")):
            reasons[ELSEWHERE.format(url=url)] = None
        elif "REDACTED" in url:
            reasons[CUT_SHORT.format(url=url)] = None
        else:
            sources[url, str(submitted.get("project_id", ""))] = None
    if not sources and not reasons:
        reasons[NO_RECORD] = None
    return list(sources), list(reasons)


@dataclass(frozen=True, kw_only=True)
class Way:
    """The stages that received bytes went through, as provenance records them, so that they can be repeated.

    Args:
        received_bytes: How many came; None where they were kept as they came.
        is_unpacked: They were taken out of a packing.
        disk: Which disk of an archive.
        source_format: What was converted; None where nothing was.
        target: What it was converted to.
        is_one_pass: By our own converter, which can do it while the bytes come in.
        source: What is kept of a source with a scheme of its own.
    """

    received_bytes: int | None = None
    is_unpacked: bool = False
    disk: str | None = None
    source_format: str | None = None
    target: str = AS_RECEIVED
    is_one_pass: bool = False
    source: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, story: Mapping[str, Any]) -> Self:
        """Read it from a story."""
        stages = story.get("stages") or {}
        converted = stages.get("converted") or {}
        return cls(
            received_bytes=(stages.get("received") or {}).get("bytes"),
            is_unpacked="unpacked" in stages,
            disk=(story.get("submitted") or {}).get("disk"),
            source_format=converted.get("from"),
            target=converted.get("to", AS_RECEIVED),
            is_one_pass=converted.get("way") == "one-pass",
            source=(story.get("submitted") or {}).get("source"),
        )

    def submission(self, url: str, blob: BlobState, settings: Settings) -> Submission:
        """Return what is asked for, so that the same stages act."""
        is_plain = self.received_bytes is None
        return Submission(
            url=url,
            max_bytes=blob.size if is_plain else max(settings.size.max_bytes, blob.size),
            disk=self.disk,
            disk_format=self.source_format,
            convert_to=self.target,
        )


def ways(stories: Iterable[Mapping[str, Any]]) -> dict[str, Way]:
    """Return what was done to the bytes of each URL; the newest story counts."""
    found: dict[str, Way] = {}
    for story in stories:
        found.setdefault(str((story.get("submitted") or {}).get("url") or ""), Way.of(story))
    return found


class Repairer:
    """Brings back bytes that the disk lost; only bytes of the very same digest count.

    What was unpacked or converted goes through the same stages again.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def repair(self, blob: BlobState) -> str | None:
        """Try every source on record; None when the bytes are back, else why they are not.

        Raises:
            StoreFailed: The disk or the index refused; another time may go well.
        """
        stories = await self._context.index.maintenance.sources(blob.address)
        sources, reasons = split_sources(stories)
        done = ways(stories)
        for url, project_id in sources:
            try:
                await self._pull(blob, url, project_id, done[url])
            except StoreFailed:
                raise  # Ours, not the source's: it says nothing about whether the bytes can come back.
            except (Failure, NotStreamable, TimeoutError) as error:
                why = str(error) or "It took too long."
                reasons.append(f"{url}: {why}")
                log.info("repair.failed", address=blob.address, url=url, detail=why)
            else:
                return None
        return " ".join(reasons)

    async def _request(self, submission: Submission, project_id: str, way: Way) -> SourceRequest:
        """Request the bytes as the first time."""
        if way.source is None:
            return SourceRequest(url=submission.url, project=project_id)
        settings = self._context.current.settings
        asked = Asked(
            gate=self._context.gate,
            secrets=Secrets(url=submission.url),
            urls=CheckedUrls(settings),
            submission=submission,
            project=project_id,
            settings=settings,
        )
        return await repeat_request(asked, way.source)

    async def _pull(self, blob: BlobState, url: str, project_id: str, way: Way) -> None:
        settings = self._context.current.settings
        submission = way.submission(url, blob, settings)
        request = await self._request(submission, project_id, way)
        with self._context.store.reserve() as reservation:
            async with asyncio.timeout(settings.pace.total_seconds):
                async with self._context.gate.open(request, settings, _unseen) as source:
                    most = blob.size if way.received_bytes is None else way.received_bytes
                    check_declared(source.declared_bytes, max_bytes=most)
                    reservation.expect(blob.size)
                    receiver = await self._receiver(blob, submission, way, reservation)
                    try:
                        clock = PeerClock(asyncio.get_running_loop().time)
                        await receiver.take(source, clock)
                        async with self._conversion(submission).run(receiver.complete()) as body:
                            await self._replace(blob, body)
                    finally:
                        await receiver.close()

    async def _receiver(
        self, blob: BlobState, submission: Submission, way: Way, reservation: Reservation
    ) -> Receiver:
        settings = self._context.current.settings
        # What is converted is looked at once more: how, its format tells.
        purpose = Purpose.REPAIR if way.source_format is None else Purpose.PULL
        context = GuardContext(purpose=purpose, settings=settings, submission=submission)
        return Receiver(
            staged=await self._staged(blob.address),
            store=self._context.store,
            worker_pool=self._context.worker_pool,
            settings=settings,
            chain=Chain(context),
            unpacks=way.is_unpacked,
            converts=way.is_one_pass,
            algorithms=[algorithm_of(blob.address)],
            address=algorithm_of(blob.address),
            reservation=reservation,
            count=lambda _size: None,
            times=self._context.guard_times,
        )

    def _conversion(self, submission: Submission) -> Conversion:
        return Conversion(
            context=self._context,
            settings=self._context.current.settings,
            submission=submission,
            begin=lambda: None,
        )

    async def _staged(self, address: str) -> Staged:
        return await self._context.store.stage(f"repair-{address[:32]}", 0)

    async def _replace(self, blob: BlobState, body: Complete) -> None:
        algorithm = algorithm_of(blob.address)
        actual = body.digests[algorithm]
        if actual != blob.address:
            raise ChecksumMismatch(algorithm=algorithm, expected=blob.address, actual=actual, source="store")
        async with self._context.holding(blob.address):
            if await self._context.index.maintenance.find(blob.address) is None:
                return  # Deleted meanwhile: nobody needs the bytes.
            await self._context.store.commit(body.staged, blob.address)
            await self._context.index.maintenance.mark(blob.address, None, datetime.now(UTC))


def _unseen(_hop: Hop) -> None:
    """Nobody follows a repair."""
