"""A URL that was pulled before and has not changed becomes a new image without its bytes being sent again."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

import msgspec

from fetcher.config import Settings
from fetcher.errors import Failure, StoreFailed
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.importer.context import Context
from fetcher.importer.records.requests import plain_request
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.subscribers import Subscribers
from fetcher.importer.stages.commit import activate_all, announce
from fetcher.importer.stages.expected_digests import ExpectedDigests
from fetcher.importer.stages.stage import Story
from fetcher.importer.stored_blobs import fault_of, mark_blob
from fetcher.index.values import Remembered, Secrets
from fetcher.model import Blob, FormatVerdict, Submission, algorithm_of
from fetcher.pipeline import PeerClock, pull


class _BlobPeer:
    """The bytes of a blob."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def read(self) -> bytes:
        return await anext(self._chunks, b"")


class Reuse:
    """Asks a source whether it still has what the store has; only where the operator allows it.

    The source decides each time, for the request at hand: who could not fetch
    the bytes from it gets none. Where only a project's own pulls count, even a
    source in new hands cannot give one project what another pulled before.

    Args:
        submission: What was asked for; a URL that may hold secrets is not remembered.
    """

    def __init__(
        self, context: Context, settings: Settings, secrets: Secrets, submission: Submission
    ) -> None:
        self._context = context
        self._settings = settings
        self._mode = settings.reuse.revalidate
        self._request = plain_request(secrets, submission, settings)
        self._known: Remembered | None = None

    async def find(self, subscribers: Subscribers) -> str | None:
        """Return the entity tag to ask about; None where nothing is known that anybody here may have."""
        if self._request is None or any(running.record.delivery is not None for running in subscribers):
            return None  # What goes on to the target is sent from a staged file.
        known = await self._context.index.pulls.recall(self._request)
        self._known = max(known, key=lambda one: len(self._entitled(one, subscribers)), default=None)
        if self._known is None or not self._entitled(self._known, subscribers):
            return None
        return self._known.etag

    async def give(
        self, subscribers: Subscribers, expected: ExpectedDigests, story: Story
    ) -> list[tuple[RunningImport, Failure | None]]:
        """Give the bytes in the store to everybody who may have them, judged anew; return the result of each.

        Raises:
            Failure: A guard refuses the bytes by the claims and limits of today.
        """
        if self._known is None:
            return []
        blob = self._known.blob
        inode = await self._context.store.generation(blob.address)
        try:
            digests, verdict = await self._judge(blob, subscribers, expected)
        except StoreFailed as failure:
            fault = fault_of(failure)
            if fault is not None:
                await mark_blob(self._context, blob.address, fault, inode)
            return []
        if digests[algorithm_of(blob.address)] != blob.address:
            await mark_blob(self._context, blob.address, "corrupt", inode)
            return []
        running_imports = self._entitled(self._known, subscribers)
        failed = expected.check_each(
            running_imports, digests, digests=digests, format=verdict, expected_bytes=blob.size
        )
        ends: list[tuple[RunningImport, Failure | None]] = [
            (running, failed[running.record.id]) for running in running_imports if running.record.id in failed
        ]
        good = [running for running in running_imports if running.record.id not in failed]
        async with self._context.holding(blob.address):
            state = await self._context.index.maintenance.find(blob.address)
            if state is None or state.fault is not None:
                return ends
            blob = msgspec.structs.replace(blob, digests={**blob.digests, **digests})
            await announce(self._context.index, good, blob, blob.size)
            done = await activate_all(self._context, good, blob, story)
        return [*ends, *zip(good, done, strict=True)]

    async def remember(self, project_ids: Sequence[str], etag: str | None, address: str) -> None:
        """Note what the URL holds now."""
        if self._request is not None and etag is not None and project_ids:
            await self._context.index.pulls.remember(project_ids, self._request, etag, address)

    def _entitled(self, known: Remembered, subscribers: Subscribers) -> list[RunningImport]:
        everybody = self._mode == "everybody"
        return [
            running for running in subscribers if everybody or running.record.project_id in known.projects
        ]

    async def _judge(
        self, blob: Blob, subscribers: Subscribers, expected: ExpectedDigests
    ) -> tuple[dict[str, str], FormatVerdict | None]:
        """Read the blob through the guards and the digests, as if it came from the source."""
        submissions = [running.record.submission for running in subscribers]
        chain = Chain(
            GuardContext(purpose=Purpose.REVALIDATION, settings=self._settings, submission=submissions[0])
        )
        hashers = {
            name: hashlib.new(name, usedforsecurity=False)
            for name in {algorithm_of(blob.address), *blob.digests, *expected.algorithms(submissions)}
        }
        worker_pool = self._context.worker_pool
        lanes = worker_pool.lanes([hasher.update for hasher in hashers.values()])
        chunks = cast(AsyncGenerator[bytes], self._context.store.read(blob.address))
        clock = PeerClock(asyncio.get_running_loop().time)
        try:
            async with aclosing(chunks):
                await pull(_BlobPeer(chunks), chain.guards, lanes, clock, piece_bytes=worker_pool.piece_bytes)
        finally:
            await lanes.close()
        return {name: hasher.hexdigest() for name, hasher in hashers.items()}, chain.format
