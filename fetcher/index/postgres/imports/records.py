"""Records of imports, from submission to verdict."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fetcher.index import scope
from fetcher.index.import_rows import filters_for
from fetcher.index.postgres.imports import ending, reading, starting
from fetcher.index.postgres.imports.grouping import Submissions
from fetcher.index.postgres.imports.leases import renew
from fetcher.index.postgres.imports.secrets import load_secrets
from fetcher.index.postgres.session import Connection
from fetcher.index.values import ANSWER_BYTES, Claimed, Contents, NewImport, Rows, Secrets, Signed, Worker
from fetcher.model import Actor, Blob, Image, Import, Verdict


class ImportRecords:
    """Domain verbs on imports; each is one transaction.

    Args:
        worker: Holds what it claims.
        wake: Called whenever an import with a notification to deliver has ended.
    """

    def __init__(self, connection: Connection, worker: Worker, wake: Callable[[], None]) -> None:
        self._connection = connection
        self._worker = worker
        self._submissions = Submissions(connection)
        self._wake = wake

    async def submit(self, new: NewImport, *, max_queued: int) -> Import:
        return await self._submissions.submit(new, max_queued)

    async def begin(self, new: NewImport, *, max_queued: int, now: datetime) -> tuple[Import, Claimed | None]:
        return await self._connection.write(starting.begin, new, max_queued, self._worker, now)

    async def find(self, import_id: str, actor: Actor) -> Import:
        return await self._connection.read(reading.find, import_id, scope.own_imports(actor))

    async def page(
        self,
        actor: Actor,
        filters: dict[str, str],
        *,
        limit: int,
        marker: str | None = None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Rows[Import]:
        wanted = filters_for(actor, filters)
        return await self._connection.read(
            reading.page, scope.own_imports(actor), wanted, (limit, max_bytes), marker
        )

    async def truths(self, actor: Actor, import_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        if not actor.is_admin or not import_ids:
            return {}
        return await self._connection.read(reading.read_truths, list(import_ids))

    async def requeue(self, import_id: str, now: datetime) -> int:
        return await self._connection.write(starting.requeue, import_id, now)

    async def claim(self, import_id: str, now: datetime) -> Claimed | None:
        return await self._connection.write(starting.claim, import_id, self._worker, now)

    async def renew(self, claims: Mapping[str, int]) -> list[str]:
        return await self._connection.write(renew, self._worker, claims)

    async def record(self, record: Import) -> bool:
        return await self._connection.write(ending.update, record)

    async def announce(self, record: Import) -> list[str]:
        return await self._connection.write(ending.announce, record)

    async def activate(
        self,
        record: Import,
        blob: Blob,
        image: Image | Contents,
        provenance: dict[str, Any],
        signed: Signed | None = None,
    ) -> bool:
        story = (provenance, signed)
        return self._wake_due(
            await self._connection.write(ending.activate, record, blob, image, story), record
        )

    async def secrets(self, import_id: str) -> Secrets:
        return await self._connection.read(load_secrets, import_id)

    async def deliver(self, record: Import, provenance: dict[str, Any]) -> bool:
        return self._wake_due(await self._connection.write(ending.deliver, record, provenance), record)

    async def end(self, record: Import, detail: dict[str, Any]) -> bool:
        return self._wake_due(await self._connection.write(ending.end, record, detail), record)

    async def cancel(self, import_id: str, actor: Actor, verdict: Verdict, now: datetime) -> Import:
        record = await self._connection.write(ending.cancel, import_id, actor, verdict, now)
        self._wake_due(True, record)
        return record

    async def provenance(self, import_id: str, actor: Actor) -> dict[str, Any] | None:
        return await self._connection.read(reading.provenance, import_id, scope.own_imports(actor))

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        return await self._connection.write(ending.forget, before, most)

    async def counts(self) -> dict[str, int]:
        return await self._connection.read(reading.counts)

    def _wake_due(self, is_ended: bool, record: Import) -> bool:
        if is_ended and record.notice is not None:
            self._wake()
        return is_ended
