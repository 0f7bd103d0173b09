"""The stage that makes of complete and verified bytes what the operator's cloud boots."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fetcher.config import Settings
from fetcher.convert.files import Job, convert_file
from fetcher.convert.qemu_img import DRIVERS
from fetcher.errors import TooManyBytes
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.importer.context import Context
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.staged_peer import read_back
from fetcher.importer.records.requests import AS_RECEIVED, target_of
from fetcher.importer.stages.stage import Carrier, Stage
from fetcher.model import FormatVerdict, Phase, Submission
from fetcher.store.protocol import Staged

SHARE_STEP = 0.01  # Progress that is worth reporting.


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The conversion stage of one body.

    Args:
        submission: What was asked for.
        begin: Called when a conversion begins.
        on_progress: Called with the share that is done, from 0 to 1; on the loop.
    """

    context: Context
    settings: Settings
    submission: Submission
    begin: Callable[[], object]
    on_progress: Callable[[float], None] = lambda _share: None

    def is_needed(self, body: Complete) -> bool:
        """Return whether a body is to be converted: disks are, discs and kernels stay what they are."""
        found, target = body.format, target_of(self.submission, self.settings)
        if found is None or target == AS_RECEIVED or found.container_format != "bare":
            return False
        return found.disk_format in DRIVERS and found.disk_format not in ("iso", target)

    @asynccontextmanager
    async def run(self, body: Complete) -> AsyncIterator[Complete]:
        """Give what is to be kept, as `result` returns it; a result that nobody kept is removed."""
        result = await self.result(body)
        if result is body:
            yield body
            return
        await self.context.store.discard(body.staged)  # Whoever sees the image finds nothing else of it.
        try:
            yield result
        finally:
            await self.context.store.discard(result.staged)

    async def result(self, body: Complete) -> Complete:
        """Return what is to be kept: a disk in a staged file of its own, or the body itself.

        Raises:
            ConversionFailed: The image cannot be converted.
            ConversionUnavailable: It takes a sandbox, and there is none.
            TooManyBytes: The result would be longer than the import may be.
            Failure: A guard refuses the result.
        """
        if not self.is_needed(body):
            return body
        self.begin()
        return await self._convert(body)

    async def _convert(self, body: Complete) -> Complete:
        found = body.format
        assert found is not None
        wanted = target_of(self.submission, self.settings)
        virtual_bytes = found.virtual_bytes or body.size
        most = self.submission.max_bytes
        if wanted == "raw" and virtual_bytes > most:
            raise TooManyBytes(max_bytes=most, declared_bytes=virtual_bytes)
        store = self.context.store
        with store.reserve() as room:
            room.expect(min(virtual_bytes, most))
            async with store.workplace(body.staged) as place:
                job = Job(
                    source=Path(place.source),
                    target=Path(place.target),
                    disk_format=found.disk_format,
                    target_format=wanted,
                    virtual_bytes=virtual_bytes,
                    walls=await self.context.sandbox.find(),
                    on_progress=self._reporter(),
                )
                done = await convert_file(job)
                staged = await store.take_result(place)
        try:
            digests, verdict = await self._judge(staged, wanted, list(body.digests))
        except BaseException:
            await store.discard(staged)
            raise
        story = {"from": found.disk_format, "to": wanted, "way": done.way, "why": done.why}
        if place.is_copy:
            story["staged"] = "local"  # It was brought to this machine for that, and back.
        received = {"bytes": body.received_bytes, "digests": body.digests}
        stages = {"received": received, **body.stages, "converted": story}
        return replace(body, staged=staged, size=staged.size, digests=digests, format=verdict, stages=stages)

    def _reporter(self) -> Callable[[float], None]:
        """Return a function that reports progress from any thread; small steps are left out."""
        loop, last = asyncio.get_running_loop(), [0.0]

        def report(share: float) -> None:
            if share - last[0] >= SHARE_STEP:
                last[0] = share
                loop.call_soon_threadsafe(self.on_progress, round(share, 2))

        return report

    async def _judge(
        self, staged: Staged, wanted: str, algorithms: list[str]
    ) -> tuple[dict[str, str], FormatVerdict | None]:
        """Read the result through the guards and the digests, claimed as what it was to become."""
        claims = Submission(url="", max_bytes=self.submission.max_bytes, disk_format=wanted)
        context = GuardContext(purpose=Purpose.CONVERT, settings=self.settings, submission=claims)
        chain = Chain(context)
        store, pool = self.context.store, self.context.worker_pool
        return await read_back(store, staged, chain, algorithms, pool), chain.format


async def _run(carrier: Carrier, body: Complete) -> Complete:
    conversion = Conversion(
        context=carrier.context,
        settings=carrier.settings,
        submission=carrier.asked,
        begin=lambda: carrier.change(phase=Phase.CONVERTING),
        on_progress=carrier.show,
    )
    return await conversion.result(body)


STAGE = Stage(name="convert", run=_run, needs=("verify",), adds=("received", "converted"))
