"""Holding what runs here: a lease that is not renewed lets others take it up."""

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog

from fetcher.aio.retry import retry_write
from fetcher.importer.context import Context
from fetcher.importer.hosts.others import Others
from fetcher.importer.scheduler import Scheduler

log = structlog.get_logger()

RENEWALS_PER_LEASE = 3
RENEWAL_WAIT_SECONDS = 0.5


class Leases:
    """Renews the leases of all imports that run in this process."""

    def __init__(self, context: Context, scheduler: Scheduler, others: Others) -> None:
        self._context = context
        self._scheduler = scheduler
        self._others = others

    async def keep(self) -> None:
        """Hold what runs here, for ever; what was lost finds that out at its next write."""
        if self._context.engine.is_shared:
            await self._context.engine.hold(self._claims, self._lose)
        while True:
            await asyncio.sleep(self._context.current.settings.imports.lease_seconds / RENEWALS_PER_LEASE)
            await self.renew()

    async def renew(self) -> None:
        """Hold what runs here for another lease."""
        claims = self._claims()
        if not claims:
            return
        renew = partial(self._context.index.imports.renew, claims)
        # An index that is back must get the renewal within the lease.
        if lost := await retry_write(renew, max_wait_seconds=RENEWAL_WAIT_SECONDS):
            self._lose(lost)

    def _claims(self) -> Mapping[str, int]:
        """Return the claim of each import that runs here; safe in any thread."""
        records = [running.record for running in self._scheduler.running_imports.copy().values()]
        return {record.id: record.claim for record in records if not record.state.is_final}

    def _lose(self, lost: list[str]) -> None:
        log.warning("imports.lost", import_ids=lost)
        self._others.lose(lost)
