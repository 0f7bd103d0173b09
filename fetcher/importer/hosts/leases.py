"""Holding what runs here: a lease that is not renewed lets others take it up."""

import asyncio
from functools import partial

import structlog

from fetcher.aio.retry import written
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
        while True:
            await asyncio.sleep(self._context.settings().imports.lease_seconds / RENEWALS_PER_LEASE)
            await self.renew()

    async def renew(self) -> None:
        """Hold what runs here for another lease."""
        records = [running.snapshot() for running in self._scheduler.running_imports.values()]
        claims = {record.id: record.claim for record in records if not record.state.is_final}
        if not claims:
            return
        renew = partial(self._context.index.imports.renew, claims)
        # An index that is back must hear of it within the lease.
        if lost := await written(renew, max_wait_seconds=RENEWAL_WAIT_SECONDS):
            log.warning("imports.lost", import_ids=lost)
            await self._others.lose(lost)
