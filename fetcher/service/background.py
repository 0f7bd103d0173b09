"""Work that runs for as long as the service does, and what comes before it."""

import asyncio
from contextlib import AsyncExitStack
from itertools import chain, repeat

import structlog

from fetcher.aio.supervisor import Work
from fetcher.api.services import Services
from fetcher.api.submit.watch import Watch
from fetcher.engine.leading import led
from fetcher.errors import Shortage
from fetcher.service.configured import Configured
from fetcher.systemd import feed_watchdog

log = structlog.get_logger()

ALONE_SECONDS = 5.0  # How long a start has the index for itself, at most.


async def start_background(
    configured: Configured, services: Services, watch: Watch, opened: AsyncExitStack
) -> None:
    """Give what runs from the first moment on to the supervisor; the rest begins when a start is over."""
    services.importer.others.start()
    services.supervisor.start("leases", services.importer.leases.keep)
    services.supervisor.start("throughput", watch.run)
    services.supervisor.start("watchdog", feed_watchdog)
    if configured.settings.quota.source == "keystone":
        services.supervisor.start("limits", await _follow_limits(configured, opened))


async def _follow_limits(configured: Configured, opened: AsyncExitStack) -> Work:
    """Ask Keystone for its limits before the first request, and give what asks again."""
    from fetcher.api.auth.limits_keystone import UnifiedLimits

    limits = UnifiedLimits(configured, configured.take_limits)
    opened.callback(limits.close)
    await limits.refresh()
    return limits.run


def _start_rest(services: Services) -> None:
    engine = services.engine
    if "worker" in engine.host.roles:
        services.supervisor.start("maintenance", led(engine, "maintenance", services.maintenance.run))
        services.supervisor.start("attestations", led(engine, "attestations", services.attestor.run))
        services.supervisor.start("schedules", led(engine, "schedules", services.keeper.run))
        services.supervisor.start("webhooks", led(engine, "webhooks", services.webhook_dispatcher.run))
    services.supervisor.start("catalogues", services.catalogues.run)
    services.supervisor.start("published", services.published.run)
    services.supervisor.start("digests", services.maintenance.late.run_wanted)


async def begin(services: Services) -> None:
    """Take up what an earlier process left; exports stage what they convert only when that is cleared.

    All else that reads the index by itself begins after it, or beside it where that takes long.
    """
    taking_up = asyncio.ensure_future(take_up(services))
    try:
        await asyncio.wait({taking_up}, timeout=ALONE_SECONDS)
        _start_rest(services)
        await taking_up
    finally:
        taking_up.cancel()
        await asyncio.wait({taking_up})  # It has the index and the store, which close after this.
    if "worker" in services.engine.host.roles:
        services.supervisor.start("exports", services.exporter.run)


async def take_up(services: Services) -> None:
    """Put right what an earlier process left, and begin to run imports; what fails is tried again."""
    waits = chain((1.0, 2.0, 5.0, 10.0), repeat(30.0))
    while not services.importer.is_open:
        try:
            await services.maintenance.start()
            await services.importer.start()
        except Shortage as failure:  # It passes, and its words say all.
            wait = next(waits)
            log.warning("start.waits", detail=str(failure), again_in_seconds=wait)
            await asyncio.sleep(wait)
        except Exception as error:
            wait = next(waits)
            log.exception("start.failed", error=repr(error), again_in_seconds=wait)
            await asyncio.sleep(wait)
