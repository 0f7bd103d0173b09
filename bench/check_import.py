"""The cost of one small import, counted: calls, statements and transactions, from submission to the end."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.lab.place import free_port, make_file, until_open
from bench.lab.service import toml
from fetcher.index.sqlite.connection import Connection
from fetcher.logs import set_up_logs
from fetcher.service import Service

SIZE = 65_536
WARM, COUNTED = 3, 10

Ask = Callable[[Service, str, str, bytes], Awaitable[int]]


class _Traced:
    """Counts the statements that SQLite gets, on all connections of the index."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._latest = ""

    def _see(self, statement: str) -> None:
        if statement == self._latest:
            return  # Reported once more for each step of a trigger.
        self._latest = statement
        self.counts["statements"] += 1
        self.counts["transactions"] += statement.startswith("BEGIN IMMEDIATE")
        self.counts["ended"] += statement.startswith("INSERT") and "INTO provenance" in statement[:40]

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Trace each connection that is opened within the block."""
        real = Connection._connect  # noqa: SLF001 - the one place where connections are made

        def connect(made_by: Connection) -> Any:
            db = real(made_by)
            db.conn.set_trace_callback(self._see)
            return db

        with patch.object(Connection, "_connect", connect):
            yield


async def until_started(service: Service) -> None:
    """Wait until submissions are taken: the port opens before that where a start is slow."""
    while not service.app.state.services.importer.is_open:
        await asyncio.sleep(0.01)


@contextmanager
def source(folder: Path) -> Iterator[int]:
    """Serve a folder from a process of its own, whose calls are not counted."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_open(port)
        yield port
    finally:
        server.terminate()
        server.wait()


async def cost_of_import(
    calls: Any, ask: Ask, *, warmed: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Return the least that an import of 64 KiB took of each: what runs by the clock is left out.

    Args:
        calls: What counts: every call (`Calls`), or those from one file to another (`Way`).
        warmed: Called before the first import that counts.
    """
    traced = _Traced()
    with tempfile.TemporaryDirectory() as name, source(Path(name)) as port:
        home = Path(name)
        for number in range(WARM + COUNTED):
            make_file(home / f"image{number}", SIZE)
        (home / "config.toml").write_text(toml(sections(port)))
        with traced.counting(), calls.counting():
            service = Service(home / "config.toml")
            set_up_logs(service.settings)
            async with service.app.router.lifespan_context(service.app):
                await until_started(service)
                found = []
                for number in range(WARM + COUNTED):
                    if number == WARM:
                        warmed()
                    before = {**traced.counts, "calls": calls.count, "pages": _pages(home)}
                    body = {"url": f"http://127.0.0.1:{port}/image{number}", "disk_format": "raw"}
                    if await ask(service, "POST", "/imports", json.dumps(body).encode()) >= 300:
                        raise RuntimeError("the import was refused")
                    await _until_ended(service, traced, number + 1)
                    after = {**traced.counts, "calls": calls.count, "pages": _pages(home)}
                    found.append({what: value - before.get(what, 0) for what, value in after.items()})
    what = ("calls", "statements", "transactions", "pages")
    # A log that was brought into the file begins anew, and would show fewer pages than none.
    return {name: min(one[name] for one in found[WARM:] if one["pages"] > 0) for name in what}


def _pages(home: Path) -> int:
    """Return the number of pages in the log of the index.

    Source: https://www.sqlite.org/walformat.html#the_wal_index_header, `mxFrame`.
    """
    header = (home / "data" / "index.sqlite-shm").read_bytes()[:20]
    return int.from_bytes(header[16:20], sys.byteorder)


async def _until_ended(service: Service, traced: _Traced, count: int) -> None:
    """Wait until so many have ended and nothing goes on: what comes after a verdict is part of the cost."""
    importer = service.app.state.services.importer
    async with asyncio.timeout(30):
        while traced.counts["ended"] < count or importer._pulls._tasks:  # noqa: SLF001 - no verb is for this
            await asyncio.sleep(0.05)
    seen = -1
    while seen != (seen := traced.counts["statements"]):
        await asyncio.sleep(0.1)


def sections(port: int) -> dict[str, dict[str, Any]]:
    return {
        "store": {"folder": "data", "reserve_bytes": 0, "reserve_percent": 0.0},
        "address": {"allow": [{"cidr": "127.0.0.1/32", "ports": [port]}]},
        "url": {"allow_literals": True},
        "imports": {"max_submits_per_minute": 1000, "max_submits_per_minute_per_origin": 1000},
        "log": {"level": "error", "held_loop_seconds": 3600.0},
        "maintenance": {"scrub_days": 36_500.0, "scrub_bytes_per_second": 65_536},
    }
