"""Measure what the database of several hosts does for one import, and simulate many hosts with it.

    python -m bench.several [IMPORTS]     figures of this machine, and what they mean for more hosts

The server is one of the tests' own (no fsync), on a socket; cost is its processes' CPU time. The simulation
is a queue: commits that notify go one at a time (PostgreSQL's lock of notifications), reads on all cores;
imports come at random, and every host reads what each change wakes it for. All of an import's CPU time counts
as time under that lock, which is the worst case.
"""

import asyncio
import heapq
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg

from fetcher.engine.postgres import PostgresEngine
from fetcher.engine.values import Caps, Host, Place
from fetcher.index.postgres.index import Index
from tests.contract.index import postgres
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.index.conftest import activate, make

WRITERS = 8
CAPS = Caps(project=10_000, origin=10_000)
BYTES = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of the database's CPU time for one of each, and what an import leaves.

    Args:
        imports_per_second: Through to an active image, with some writers at once.
    """

    write: float
    queued: float
    elsewhere: float
    beat: float
    imports_per_second: float
    wal_bytes: float
    table_bytes: float


def cpu_of(server: str) -> float:
    """Return the CPU seconds of a server's processes so far."""
    folder = dict(part.split("=", 1) for part in server.split())["host"]
    pid = int((Path(folder) / "data" / "postmaster.pid").read_text().split()[0])
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def one_import(index: Index, engine: PostgresEngine, number: int) -> None:
    """Submit, take the room of a pull, claim, activate, give the room back."""
    new = make()
    await index.imports.submit(new, max_queued=1_000_000)
    place = Place(id=new.record.id, project_id="alice", origin=f"o{number}", request=f"r{number}")
    assert await engine.enter(place, CAPS)
    assert await activate(index, new, f"{number % 16:x}")
    await engine.leave(place.id)


async def measure(server: str, place: PostgresPlace, count: int) -> Costs:
    """Do many of each, and divide."""

    async def cost(times: int, work: Callable[[], Awaitable[Any]]) -> float:
        before = cpu_of(server)
        for _ in range(times):
            await work()
        return (cpu_of(server) - before) / times

    async with AsyncExitStack() as stack:
        index = await stack.enter_async_context(place.open())
        engine = await stack.enter_async_context(PostgresEngine(index.connection, Host(name="a", start="1")))
        other = await stack.enter_async_context(PostgresEngine(index.connection, Host(name="b", start="1")))
        numbers = iter(range(count))

        async def writer() -> None:
            for number in numbers:
                await one_import(index, engine, number)

        await one_import(index, engine, -1)  # Connections, plans.
        with psycopg.connect(place.url, autocommit=True) as admin:

            def asked(sql: str) -> float:
                row = admin.execute(sql).fetchone()
                return float(row[0])

            wal, size, cpu, began = asked(WAL), asked(BYTES), cpu_of(server), time.perf_counter()
            await asyncio.gather(*(writer() for _ in range(WRITERS)))
            seconds, spent = time.perf_counter() - began, cpu_of(server) - cpu
            wal, size = asked(WAL) - wal, asked(BYTES) - size
        for number in range(100):
            await engine.enter(Place(id=f"p{number}", project_id="p", origin="o", request=f"q{number}"), CAPS)
        return Costs(
            write=spent / count,
            queued=await cost(500, lambda: other.queued(["nothing"])),
            elsewhere=await cost(500, other.elsewhere),
            beat=await cost(500, lambda: engine.beat(1)),
            imports_per_second=count / seconds,
            wal_bytes=wal / count,
            table_bytes=size / count,
        )


def simulate(costs: Costs, hosts: int, per_second: float, cores: int, seconds: float = 20.0) -> float:
    """Return how long a submission waits for the database, in seconds: the 99th of a hundred.

    Args:
        hosts: Each reads what an import wakes it for: `queued` once, `elsewhere` twice.
        per_second: Imports over all hosts; each has five transactions, which wait for one another.
    """
    chance = random.Random(1)  # The same each time.
    free, commits_free = [0.0] * cores, 0.0
    reads = hosts * (costs.queued + 2 * costs.elsewhere)
    waits: list[float] = []
    now = 0.0
    while now < seconds:
        now += chance.expovariate(per_second)
        begun = max(now, commits_free, free[0])
        commits_free = begun + costs.write
        heapq.heapreplace(free, begun + costs.write)
        for _ in range(cores):  # The hosts read side by side.
            heapq.heapreplace(free, max(free[0], now) + reads / cores)
        waits.append(begun - now)
    return sorted(waits)[len(waits) * 99 // 100]


def tell(costs: Costs, cores: int) -> None:
    """Print figures, and what they mean."""
    ms, us = 1000, 1_000_000
    print(f"one import: {costs.write * ms:.2f} ms of its CPU; {costs.imports_per_second:.0f} a second")
    print(f"it leaves {costs.table_bytes:,.0f} bytes of tables and {costs.wal_bytes:,.0f} bytes of WAL")
    print(f"reads: queued {costs.queued * us:.0f} us, elsewhere {costs.elsewhere * us:.0f} us", end="; ")
    print(f"beat {costs.beat * us:.0f} us; load {os.getloadavg()[0]:.1f}, {cores} cores")
    print("\nhosts  imports/s  cores taken  p99 wait")
    for hosts in (1, 4, 10, 100, 1000):
        for per_second in (1.0, 10.0, 100.0):
            each = costs.write + hosts * (costs.queued + 2 * costs.elsewhere)
            taken = per_second * each + hosts * costs.beat * 9 / 60
            waited = simulate(costs, hosts, per_second, cores=16)
            said = f"{waited * 1000:.1f} ms" if taken < 16 else "without end"
            print(f"{hosts:5}  {per_second:9.0f}  {taken:11.2f}  {said}")


def main() -> None:
    """Run the command."""
    count = int((sys.argv[1:] or ["2000"])[0])
    with postgres.server() as server:
        costs = asyncio.run(measure(server, PostgresPlaces(server).new(), count))
    tell(costs, os.cpu_count() or 1)


if __name__ == "__main__":
    main()
