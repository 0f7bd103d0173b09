"""Leases of a host that lives and is busy: nobody takes over what it runs."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any, Self

import psycopg
import pytest

from fetcher.engine.postgres import PostgresEngine, pulse
from fetcher.engine.values import Host
from fetcher.index.postgres.access import Access
from fetcher.index.postgres.session import Session
from fetcher.index.values import Worker
from tests.contract.index.postgres import PostgresPlace
from tests.index.conftest import make

LEASE_SECONDS = 1.5
LIMIT_SECONDS = 60.0
EXPIRED = "clock_timestamp() - interval '1 s'"


class Busy:
    """A host `a` that runs one import and holds its leases; and what others see of these.

    Args:
        lease_seconds: Of host and import.
    """

    def __init__(self, place: PostgresPlace, lease_seconds: float = LEASE_SECONDS) -> None:
        self._place = place
        self._lease_seconds = lease_seconds
        self.lost: list[str] = []
        self.told = asyncio.Event()
        self.claims: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Begin to hold."""
        self._stack = AsyncExitStack()
        worker = Worker(name="a", lease_seconds=self._lease_seconds)
        self.index = await self._stack.enter_async_context(self._place.open(worker=worker))
        this = Host(name="a", start="1", lease_seconds=self._lease_seconds)
        self.engine = await self._stack.enter_async_context(PostgresEngine(self.index.connection, this))
        new = make()
        await self.index.imports.submit(new, max_queued=10)
        claimed = await self.index.imports.claim(new.record.id, new.record.created_at)
        assert claimed is not None
        self.import_id = new.record.id
        self.claims[new.record.id] = claimed.record.claim
        self._admin = self._stack.enter_context(psycopg.connect(self._place.url, autocommit=True))
        await self.hold()
        return self

    async def hold(self) -> None:
        """Begin to hold, and wait for the first renewal."""
        before = self.leases()
        self.holding = asyncio.create_task(self.engine.hold(lambda: self.claims, self._lose))
        async with asyncio.timeout(LIMIT_SECONDS):
            while self.leases() == before:
                await asyncio.sleep(0.01)

    async def __aexit__(self, *_: object) -> None:
        """Let go."""
        self.holding.cancel()
        with suppress(asyncio.CancelledError):
            await self.holding
        await self._stack.aclose()

    def _lose(self, lost: list[str]) -> None:
        self.lost += lost
        self.told.set()

    def ask(self, sql: str) -> Any:
        """Ask the database, without a turn of the event loop."""
        cursor = self._admin.execute(sql.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def leases(self) -> tuple[Any, Any]:
        """Until when the host and its import are held."""
        host, held = "SELECT lease_until FROM hosts WHERE name = 'a'", "SELECT lease_until FROM imports"
        return self.ask(host), self.ask(held)

    def see_renewed(self, times: int) -> None:
        """Wait, without a turn of the event loop, until both leases were renewed so often."""
        until = time.monotonic() + LIMIT_SECONDS
        before = self.leases()
        while times:
            assert time.monotonic() < until, "no lease was renewed"
            time.sleep(0.01)
            now = self.leases()
            if all(after > earlier for earlier, after in zip(before, now, strict=True)):
                before, times = now, times - 1

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have the import's row written by a transaction that does not end."""
        with psycopg.connect(self._place.url) as connection:
            connection.execute("SELECT 1 FROM imports FOR UPDATE")
            yield


async def test_a_busy_host_keeps_its_leases(database: PostgresPlace) -> None:
    """With every connection of the pool in use and an event loop that stands still, leases are renewed."""
    async with Busy(database) as host:
        begun, connections = 0, Access(url="").connections
        in_use = asyncio.Event()

        async def stay(db: Session) -> None:
            nonlocal begun
            await db.select("SELECT 1")
            begun += 1
            if begun == connections:
                in_use.set()
            await asyncio.get_running_loop().create_future()

        waiting = [asyncio.create_task(host.index.connection.write(stay)) for _ in range(connections + 5)]
        await asyncio.wait_for(in_use.wait(), LIMIT_SECONDS)
        host.see_renewed(2 * pulse.RENEWALS_PER_LEASE)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    assert host.lost == []


async def test_a_renewal_that_comes_late_counts(database: PostgresPlace) -> None:
    """A lease that ran out is renewed as long as nobody has taken over, and its pulls count again."""
    async with Busy(database) as host:
        host.ask(f"UPDATE imports SET lease_until = {EXPIRED}")
        host.ask(f"UPDATE hosts SET lease_until = {EXPIRED}")
        host.see_renewed(1)
        assert host.ask("SELECT bool_and(lease_until > clock_timestamp()) FROM imports")
        assert host.ask("SELECT bool_and(lease_until > clock_timestamp()) FROM hosts")
    assert host.lost == []


async def test_what_was_taken_over_is_told(database: PostgresPlace) -> None:
    """An import that has another claim is reported as lost, and its lease stays its new owner's."""
    async with Busy(database) as host:
        host.ask("UPDATE imports SET claim = claim + 1, worker = 'b', lease_until = '2100-01-01'")
        await asyncio.wait_for(host.told.wait(), LIMIT_SECONDS)
        assert host.lost[0] == host.import_id
        assert host.ask("SELECT worker || extract(year FROM lease_until) FROM imports") == "b2100"


async def test_a_row_that_is_written_holds_up_no_renewal(database: PostgresPlace) -> None:
    """The host is renewed past a locked import, which is neither lost nor anybody else's to take over."""
    async with Busy(database) as host:
        this = Host(name="b", start="1", lease_seconds=LEASE_SECONDS)
        async with database.open() as index, PostgresEngine(index.connection, this) as other:
            host.ask(f"UPDATE imports SET lease_until = {EXPIRED}")
            with host.locked():
                before, _of_the_import = host.leases()
                async with asyncio.timeout(LIMIT_SECONDS):
                    while host.leases()[0] == before:
                        await asyncio.sleep(0.01)
                    await other.take_over([host.import_id])
            assert host.ask("SELECT claim FROM imports") == host.claims[host.import_id]
            host.see_renewed(1)
    assert host.lost == []


async def test_a_host_whose_loop_hangs_for_good_lets_go(
    database: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that lives on must not hold for ever what nothing runs any more."""
    monkeypatch.setattr(pulse, "MAX_SILENT_LEASES", 2)
    async with Busy(database, lease_seconds=0.5) as host:
        host.see_renewed(1)
        until = time.monotonic() + LIMIT_SECONDS
        while host.ask("SELECT lease_until > clock_timestamp() FROM hosts"):
            assert time.monotonic() < until, "the lease never ran out"
            time.sleep(0.05)


async def test_a_cut_connection_is_made_anew(database: PostgresPlace) -> None:
    """The database ends the session: the next renewal has another one."""
    async with Busy(database) as host:
        host.see_renewed(1)
        host.ask(
            """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE application_name = 'fetcher' AND datname = current_database()"""
        )
        host.see_renewed(1)
    assert host.lost == []


async def test_a_thread_that_ended_is_told(database: PostgresPlace) -> None:
    """Whoever supervises it begins anew."""
    async with Busy(database) as host:

        def broken() -> dict[str, int]:
            raise ValueError("broken")

        host.holding.cancel()
        await asyncio.wait({host.holding})
        with pytest.raises(RuntimeError, match="has ended"):
            await asyncio.wait_for(host.engine.hold(broken, host._lose), LIMIT_SECONDS)
        assert "pulse" not in {thread.name for thread in threading.enumerate()}
        await host.hold()
