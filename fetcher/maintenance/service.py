"""Looking after the store in the background: loose files, blobs that rot, records that are old."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from fetcher.errors import Failure, Shortage, StoreFailed
from fetcher.importer.context import Context
from fetcher.importer.stages.commit import remove_unneeded
from fetcher.importer.stored_blobs import Fault, mark_blob, read_blob
from fetcher.index.values import BlobState
from fetcher.maintenance.digests import LateDigests
from fetcher.maintenance.repair import Repairer
from fetcher.shortage import is_shortage

log = structlog.get_logger()

ROUND_SECONDS = 3600.0
SOON_SECONDS = 60.0  # After a round that failed.
INDEX_SECONDS = 86_400.0
COMMIT_SECONDS = (
    60.0  # A file is written before it is noted; but for its length, which is set a moment later.
)
READ_WAITS_SECONDS = (1.0, 4.0, 16.0)  # Before a blob that could not be read is tried again.
DROPPED_AT_ONCE = 500  # Records in one transaction: others write between two.
SETTLED_AT_ONCE = 64  # They share the fsyncs of the index.
LOOSE_SECONDS = 3600.0  # By then the commit of these bytes has long ended.


class Maintenance:
    """The rounds of one service.

    Attributes:
        troubles: Why the service should take no work, as far as the rounds have found out.
        warnings: What an operator should look at.
        late: Digests that come later; what is wanted of them is computed by whoever wants it, on any host.

    Args:
        forget_old: Drops old imports; how many went.
        sleep: Waits; a test may wait less.
    """

    def __init__(
        self,
        context: Context,
        forget_old: Callable[[], Awaitable[int]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._context = context
        self._forget_old = forget_old
        self._sleep = sleep
        self._repairer = Repairer(context)
        self.late = LateDigests(context, sleep)
        self._put_off = 0
        self._repairing = asyncio.Lock()
        self._index_seen = float("-inf") if not context.index.maintenance.is_checked else time.monotonic()
        self.troubles: list[str] = []
        self.warnings: list[str] = []

    async def start(self) -> None:
        """Remove the files of blobs that a stopped process was about to commit or to remove.

        Before any import runs. Files that the index knows nothing of stay:
        they may be somebody's, and `fetcher store gc` is there for them.
        """
        await self._settle_loose(None)
        await self._compare_counts()

    async def _compare_counts(self) -> None:
        """Say loudly that an index is empty beside blobs: it was lost, emptied, or is another store's."""
        self.warnings = []
        if await self._context.index.images.blobs(limit=1):
            return
        files = len(await self._context.store.items())
        if files:
            self.warnings = [f"the index is empty, but {files:,} files are in blobs/"]
            log.error(
                "index.empty",
                files=files,
                advice="Put back the index that knows them, or run `fetcher store gc`.",
            )

    async def run(self) -> None:
        """Go round for ever; chores and repairs do not wait until everything has been read."""
        await asyncio.gather(
            self._run_rounds(self.do_chores, self._sleep),
            self._run_rounds(self.forget_surplus, lambda _seconds: self._sleep(SOON_SECONDS)),
            self._run_rounds(self.read_blobs, self._sleep),
            self._run_rounds(self.repair_blobs, self._sleep_until_damaged),
            self.late.run_configured(),
        )

    async def _run_rounds(
        self, round_: Callable[[], Awaitable[None]], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """Do a round now and then; one that fails is logged and repeated soon."""
        while True:
            seconds = SOON_SECONDS
            try:
                await round_()
                seconds = ROUND_SECONDS
            except Failure as failure:
                log.error("maintenance.failed", code=failure.code, detail=str(failure))  # noqa: TRY400 - a fact, not a fault
            except Exception as error:
                log.exception("maintenance.fault", error=repr(error))
            await sleep(seconds)

    async def _sleep_until_damaged(self, seconds: float) -> None:
        """Wait for the next round, or for the next blob that is marked as damaged."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._context.damaged.wait()
        self._context.damaged.clear()

    async def do_chores(self) -> None:
        """Remove what is left over, forget what is old; look at the index once a day."""
        await self._context.store.retry_deletes()
        await self._context.store.make_ballast()
        await self._settle_loose(datetime.now(UTC) - timedelta(seconds=LOOSE_SECONDS))
        await self.forget()
        log.info("audit.head", head=str(await self._context.index.audit.head()))
        if time.monotonic() - self._index_seen > INDEX_SECONDS:
            await self.check_index()

    async def check_index(self) -> None:
        """Look at every page of the index: what a start had no time for, and what has rotted since."""
        damage = await self._context.index.maintenance.damage()
        self._index_seen = time.monotonic()
        self.troubles = ["the index is damaged"] if damage else []
        if damage:
            log.error("index.damaged", found=damage, advice="Stop the server and restore a backup.")

    async def read_blobs(self) -> None:
        """Read the blobs that are due.

        Raises:
            StoreFailed: Some could not be read, so that they are tried again soon.
        """
        unread = (await self.scrub())["unread"]
        if unread:
            raise StoreFailed(reason=f"{unread} blobs could not be read")

    async def repair_blobs(self) -> None:
        """Pull the faulty ones again, where the operator wants that.

        Raises:
            StoreFailed: Some had to be put off, so that they are tried again soon.
        """
        if self._context.current.settings.maintenance.repair:
            await self.repair()
            if self._put_off:
                raise StoreFailed(reason=f"{self._put_off} blobs could not be repaired now")

    async def forget(self) -> None:
        """Drop imports, exports, audit lines, idempotency keys and retired ids that are old enough."""
        settings, now = self._context.current.settings, datetime.now(UTC)
        rules = settings.maintenance
        exports_before = now - timedelta(days=settings.exports.keep_finished_days)
        while await self._context.index.exports.forget(exports_before):
            await self._sleep(0)
        while await self._forget_old():
            await self._sleep(0)
        while await self._context.index.maintenance.forget(
            audit_before=now - timedelta(days=rules.keep_audit_days),
            keys_before=now - timedelta(days=rules.keep_idempotency_days),
            retired_before=now - timedelta(days=rules.keep_retired_days),
        ):
            await self._sleep(0)

    async def forget_surplus(self) -> None:
        """Drop what is beyond the number and the bytes that may be kept, however young it is."""
        rules, index = self._context.current.settings, self._context.index.maintenance
        gone = await index.surplus(rules.quota.max_records, rules.quota.max_record_bytes)
        for begin in range(0, len(gone), DROPPED_AT_ONCE):
            await index.drop(gone[begin : begin + DROPPED_AT_ONCE])
        lines, exports = 0, 0
        yesterday = datetime.now(UTC) - timedelta(days=1)
        while trimmed := await self._context.index.exports.trim(yesterday, rules.quota.max_records):
            exports += trimmed
        while trimmed := await index.trim_audit(rules.maintenance.max_audit_lines):
            lines += trimmed
        if gone or exports or lines:
            advice = "Raise quota.max_records or maintenance.max_audit_lines if there is room for more."
            counts = {"imports": len(gone), "exports": exports, "audit_lines": lines}
            log.warning("maintenance.surplus_forgotten", **counts, advice=advice)

    async def scrub(self, *, before: datetime | None = None) -> dict[str, int]:
        """Read every blob that is due, at a bounded rate, and mark those that are missing or corrupt.

        A blob that cannot be read for another reason stays as it is, and due.

        Args:
            before: Blobs read since then are not due; by default, as the settings say.

        Returns:
            How many blobs were found whole, missing or corrupt, or could not be read.

        Raises:
            StoreFailed: The machine stays short of something; or the index cannot be used.
        """
        age = timedelta(days=self._context.current.settings.maintenance.scrub_days)
        now = datetime.now(UTC)
        before = min(before or now - age, now)  # Else what was just read would be due again.
        found = {"whole": 0, "missing": 0, "corrupt": 0, "unread": 0}
        unread: set[str] = set()
        while blobs := await self._due(before, unread):
            for blob in blobs:
                try:
                    seen = await self._check_with_retries(blob)
                except StoreFailed as failure:
                    if _is_short(failure):
                        raise
                    log.error("blob.unread", address=blob.address, detail=str(failure))  # noqa: TRY400 - a fact
                    unread.add(blob.address)
                    seen = "unread"
                if seen is not None:
                    found[seen] += 1
        return found

    async def _due(self, before: datetime, unread: set[str]) -> list[BlobState]:
        blobs = await self._context.index.maintenance.due(before, limit=100 + len(unread))
        return [blob for blob in blobs if blob.address not in unread]

    async def repair(self) -> int:
        """Bring faulty blobs back; how many are whole again.

        Each is read once more first: what healed by itself, or was replaced in
        the moment before a crash, needs no network. What cannot be brought back
        has the reason written beside it.
        """
        async with self._repairing:
            return await self._repair_all()

    async def _repair_all(self) -> int:
        repaired, after, self._put_off = 0, "", 0
        while blobs := await self._context.index.maintenance.faulty(after=after):
            for blob in blobs:
                try:
                    repaired += await self._repair(blob)
                except StoreFailed as failure:
                    log.error("repair.put_off", address=blob.address, detail=str(failure))  # noqa: TRY400 - a fact
                    self._put_off += 1
            after = blobs[-1].address
        return repaired

    async def _repair(self, blob: BlobState) -> bool:
        await self._check_with_retries(blob)
        now = await self._context.index.maintenance.find(blob.address)
        return now is not None and await self._bring_back(now)

    async def _bring_back(self, blob: BlobState) -> bool:
        why = None if blob.fault is None else await self._repairer.repair(blob)
        if why is None:
            log.info("blob.repaired", address=blob.address)
        else:
            await self._context.index.maintenance.explain(blob.address, why)
            log.error("blob.lost", address=blob.address, fault=blob.fault, why=why)
        return why is None

    async def _check_with_retries(self, blob: BlobState) -> str | None:
        """Check a blob; one that could not be read is tried again a few times, for most causes pass."""
        for seconds in READ_WAITS_SECONDS:
            try:
                return await self._check(blob)
            except StoreFailed as failure:
                log.warning(
                    "blob.unread", address=blob.address, detail=str(failure), again_in_seconds=seconds
                )
            await self._sleep(seconds)
        return await self._check(blob)

    async def _check(self, blob: BlobState) -> Fault | Literal["whole"] | None:
        """Read a blob and mark it as what it is; None when it was deleted or replaced meanwhile.

        Raises:
            StoreFailed: It could not be read.
        """
        inode = await self._context.store.generation(blob.address)
        rate = self._context.current.settings.maintenance.scrub_bytes_per_second
        fault = await read_blob(self._context.store, blob, rate, self._sleep)
        return (fault or "whole") if await mark_blob(self._context, blob.address, fault, inode) else None

    async def _settle_loose(self, before: datetime | None) -> None:
        loose = await self._context.index.maintenance.loose(before)
        for begin in range(0, len(loose), SETTLED_AT_ONCE):
            some = loose[begin : begin + SETTLED_AT_ONCE]
            await asyncio.gather(*(self._settle(address, noted_at) for address, noted_at in some))

    async def _settle(self, address: str, noted_at: datetime) -> None:
        async with self._context.holding(address):
            is_done = await self._context.index.images.has_blob(address)
            if not is_done and await self._is_newer(address, noted_at):
                log.warning("blob.unknown", address=address, advice="See `fetcher store check`.")
                is_done = True
            if is_done or await remove_unneeded(self._context, address):
                await self._context.index.maintenance.settle(address)

    async def _is_newer(self, address: str, noted_at: datetime) -> bool:
        """Return whether a file is newer than its note: then an older index was put back."""
        written_at = await self._context.store.written_at(address)
        return written_at is not None and written_at > noted_at + timedelta(seconds=COMMIT_SECONDS)


def _is_short(failure: StoreFailed) -> bool:
    """Return whether the machine is short of what every blob needs to be read."""
    is_machine = failure.__cause__ is not None and is_shortage(failure.__cause__)
    return isinstance(failure, Shortage) or is_machine
