"""Compare the engines of several hosts: `python -m bench.engines [IMPORTS] [ROUNDS]`.

In turns, on one PostgreSQL server of its own (no fsync), on a socket, with one host that listens and
begins nothing: imports that have to wait come one at a time (from the submission's commit to the host being
woken), then from eight writers at once (time and the database's CPU time for each). `pgqueuer, own driver`
is the adapter with the library's driver for psycopg in place of ours. `procrastinate` is there where it is
installed: its jobs are deferred in the submission's transaction by its SQL function, and wake its own worker.
"""

import asyncio
import importlib
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pgqueuer.adapters.drivers.psycopg import PsycopgDriver

from bench.several import WRITERS, cpu_of
from fetcher.engine.pgqueuer import PgqueuerEngine
from fetcher.engine.pgqueuer import engine as adapter
from fetcher.engine.postgres import PostgresEngine
from fetcher.engine.values import Host, Signal
from fetcher.index.postgres.index import Index
from fetcher.index.postgres.session import Session
from tests.contract.index import postgres
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.index.conftest import make

SINGLE = 40
SETTLE_SECONDS = 1.0
KINDS = ["postgres", "pgqueuer", "pgqueuer, own driver", "procrastinate"]
DEFER = """SELECT procrastinate_defer_jobs_v1(ARRAY[
    ROW('default', 'wake', 0, NULL, NULL, jsonb_build_object('id', one), NULL)::procrastinate_job_to_defer_v1
]) FROM unnest(%s::text[]) AS one"""


class Woken:
    """The moments at which a host was woken, by import."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._moved = asyncio.Event()

    def on_signal(self, signal: Signal) -> None:
        """Note the first moment."""
        if signal.what == "import" and signal.state == "queued" and signal.wakes:
            self.note(signal.id)

    def note(self, import_id: str) -> None:
        """Note the first moment of an import."""
        self.at.setdefault(import_id, time.perf_counter())
        self._moved.set()

    async def until(self, import_id: str) -> float:
        """Wait for an import's moment."""
        while import_id not in self.at:
            self._moved.clear()
            await self._moved.wait()
        return self.at[import_id]


@asynccontextmanager
async def procrastinating(place: PostgresPlace, index: Index, woken: Woken) -> AsyncIterator[None]:
    """Run procrastinate beside the index."""
    library: Any = importlib.import_module("procrastinate")
    app = library.App(connector=library.PsycopgConnector(conninfo=place.url))

    @app.task(name="wake")  # type: ignore[untyped-decorator]  # the library is not one of ours
    async def wake(id: str) -> None:  # noqa: A002 - the name in the job
        woken.note(id)

    async def defer(db: Session, import_ids: Sequence[str]) -> None:
        await db.connection.execute(DEFER, [list(import_ids)])

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        index.connection.on_queued = defer
        work = asyncio.create_task(app.run_worker_async(concurrency=100, install_signal_handlers=False))
        try:
            yield
        finally:
            work.cancel()
            await asyncio.wait({work})


@asynccontextmanager
async def running(kind: str, place: PostgresPlace, woken: Woken) -> AsyncIterator[Index]:
    """Open an index that tells an engine, and one host that listens."""
    ours: Callable[..., Any] = adapter.ConnectionDriver
    async with place.open() as index:
        if kind == "procrastinate":
            async with procrastinating(place, index, woken):
                await asyncio.sleep(SETTLE_SECONDS)
                yield index
            return
        made = PostgresEngine if kind == "postgres" else PgqueuerEngine
        if kind.endswith("own driver"):
            adapter.ConnectionDriver = PsycopgDriver  # type: ignore[assignment,misc]  # for this measurement
        async with made(index.connection, Host(name="a", start="1")) as engine:
            engine.watch(woken.on_signal)
            if kind.endswith("own driver"):
                engine.channels = engine.channels[:1]
            listening = asyncio.create_task(engine.listen())
            try:
                await asyncio.sleep(SETTLE_SECONDS)
                yield index
            finally:
                listening.cancel()
                await asyncio.wait({listening})
                adapter.ConnectionDriver = ours  # type: ignore[misc]  # as it was


async def measure(kind: str, server: str, place: PostgresPlace, count: int) -> dict[str, float]:
    """Submit one at a time, then many at once."""
    woken, waits = Woken(), []
    async with running(kind, place, woken) as index:
        for _ in range(SINGLE):
            record = await index.imports.submit(make(), max_queued=1_000_000)
            done = time.perf_counter()
            waits.append(max(0.0, await woken.until(record.id) - done))
            await asyncio.sleep(0.05)
        numbers = iter(range(count))
        ids: list[str] = []

        async def writer() -> None:
            for _ in numbers:
                record = await index.imports.submit(make(), max_queued=1_000_000)
                ids.append(record.id)

        cpu, began = cpu_of(server), time.perf_counter()
        await asyncio.gather(*(writer() for _ in range(WRITERS)))
        seconds = time.perf_counter() - began
        for one in ids:
            await woken.until(one)
        last = time.perf_counter() - began
        return {
            "wake_p50": statistics.median(waits),
            "wake_max": max(waits),
            "per_second": count / seconds,
            "woken_per_second": count / last,
            "cpu": (cpu_of(server) - cpu) / count,
        }


async def main(count: int, rounds: int) -> None:
    """Do it in turns, and print each and its medians."""
    kinds = [kind for kind in KINDS if kind != "procrastinate" or importlib.util.find_spec(kind)]
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    with postgres.server() as server:
        places = PostgresPlaces(server)
        for _ in range(rounds):
            for kind in kinds:
                found[kind].append(await measure(kind, server, places.new(), count))
    for kind, turns in found.items():
        middle = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
        half, worst = (middle[name] * 1000 for name in ("wake_p50", "wake_max"))
        print(
            f"{kind:22} woken after {half:.0f} ms (worst {worst:.0f}), "
            f"{middle['per_second']:.0f} submissions/s, {middle['woken_per_second']:.0f} woken/s, "
            f"{middle['cpu'] * 1000:.2f} ms of the database's CPU each"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    arguments = [int(one) for one in sys.argv[1:]]
    asyncio.run(main(*(arguments + [500, 3][len(arguments) :])))
