"""Renewals of leases, in a thread that waits for nothing else this host does."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from fetcher.aio.shield import shielded
from fetcher.engine.postgres.host_session import HostSession
from fetcher.engine.values import Host
from fetcher.errors import StoreFailed
from fetcher.index.postgres.access import Access

log = structlog.get_logger()

RENEWALS_PER_LEASE = 6
SIGN_SECONDS = 1.0
# A loop that stands still for so many leases will not come back: others may have what it ran.
MAX_SILENT_LEASES = 10

# Rows that are being written are left to the next turn: renewals must not queue for one of them.
RENEW = """WITH forgotten AS (DELETE FROM hosts WHERE lease_until < clock_timestamp() - interval '1 day'),
    alive AS (UPDATE hosts SET running = %(running)s,
            lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
        WHERE name = %(host)s AND start = %(start)s),
    mine AS (SELECT * FROM unnest(%(ids)s::text[], %(claims)s::bigint[]) AS mine (id, claim)),
    held AS (SELECT id FROM imports JOIN mine USING (id, claim) WHERE ended_at IS NULL
        ORDER BY id FOR NO KEY UPDATE OF imports SKIP LOCKED),
    renewed AS (UPDATE imports SET worker = %(host)s,
            lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
        FROM held WHERE imports.id = held.id)
    SELECT array(SELECT mine.id FROM mine WHERE NOT EXISTS (
        SELECT 1 FROM imports WHERE imports.id = mine.id AND imports.claim = mine.claim
            AND ended_at IS NULL))"""


class Pulse:
    """Holds a host and the imports that it runs while its event loop and its pool of connections are busy.

    It has a thread, an event loop and a connection of its own. A renewal that comes late counts where
    nobody has taken over meanwhile.

    Args:
        claims: Return the claim of each import that runs here; called in the thread.
        lost: Called in the loop that began this with imports that are not this host's any more.
    """

    def __init__(
        self,
        access: Access,
        host: Host,
        claims: Callable[[], Mapping[str, int]],
        lost: Callable[[list[str]], None],
    ) -> None:
        self._host = host
        self._claims = claims
        self._lost = lost
        self._session = HostSession(access)
        self._seen = time.monotonic()
        self._began = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._own: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            RuntimeError: The thread ended.
        """
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            while self._thread.is_alive():
                self._seen = time.monotonic()
                await asyncio.sleep(SIGN_SECONDS)
        finally:
            await shielded(asyncio.to_thread(self._stop))
        raise RuntimeError("the thread that renews leases has ended") from self._fault

    def _stop(self) -> None:
        self._began.wait()
        if self._own is not None and self._task is not None:
            with suppress(RuntimeError):  # Its loop is closed: it has ended.
                self._own.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def _run(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._renew_for_ever())
        except Exception as error:  # noqa: BLE001 - whatever it is, `keep` raises it in its own thread
            self._fault = error
        finally:
            self._began.set()

    async def _renew_for_ever(self) -> None:
        self._own, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._began.set()
        seconds = self._host.lease_seconds / RENEWALS_PER_LEASE
        try:
            while True:
                await asyncio.sleep(seconds)
                if time.monotonic() - self._seen < MAX_SILENT_LEASES * self._host.lease_seconds:
                    # Again at once where it fails: a connection that broke long ago shows it only now.
                    await self._renew() or await self._renew()
        finally:
            await self._session.close()

    async def _renew(self) -> bool:
        """Renew once, and return whether that counts.

        A database that does not answer within a third of a lease is asked on another connection next time.
        """
        claims = self._claims()
        parameters = {
            "host": self._host.name,
            "start": self._host.start,
            "lease": self._host.lease_seconds,
            "running": len(claims),
            "ids": list(claims),
            "claims": list(claims.values()),
        }
        try:
            async with asyncio.timeout(self._host.lease_seconds / 3):
                lost = await self._session.ask(RENEW, parameters)
        except (StoreFailed, TimeoutError) as failure:
            log.warning("leases.unrenewed", detail=str(failure) or "the database does not answer")
            await self._session.close()
            return False
        if lost:
            self._loop.call_soon_threadsafe(self._lost, lost)
        return True
