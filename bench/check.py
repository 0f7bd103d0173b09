"""A guard against getting slower that holds on a noisy machine: it counts, it does not time.

Each row is a number of calls, statements or steps of SQLite's machine, which
is the same on every run, and what it may be at most. Time is for `run`.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from sqlite_utils.db import Database

from bench.case_api import image_id, seed
from bench.check_import import COUNTED, cost_of_import, until_started
from bench.lab.place import MIB
from bench.lab.service import toml
from bench.way import Way
from fetcher.config import Settings, load_settings
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.base import Guard
from fetcher.index.sqlite.image_records import listing
from fetcher.logs import set_up_logs
from fetcher.model import Actor, Submission
from fetcher.pipeline import PeerClock, WorkerPool, pull
from fetcher.service import Service

PIECES = 512


@dataclass(frozen=True, kw_only=True)
class Count:
    """One row: what was counted, and what it may be."""

    name: str
    value: float
    most: float

    @property
    def is_met(self) -> bool:
        """Whether it is not more than it may be."""
        return self.value <= self.most


class Calls:
    """How many Python and C functions were called, in all threads."""

    def __init__(self) -> None:
        self.count = 0

    def _see(self, _frame: FrameType, event: str, _argument: Any) -> None:
        if event in {"call", "c_call"}:
            self.count += 1

    @contextmanager
    def counting(self) -> Any:
        """Count within the block; threads that run already are not seen."""
        sys.setprofile(self._see)
        threading.setprofile(self._see)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


class _Memory:
    """A peer whose bytes are there already."""

    def __init__(self, pieces: int, size: int) -> None:
        self._pieces = pieces
        self._piece = b"\xe5" * size

    async def read(self) -> bytes:
        self._pieces -= 1
        return self._piece if self._pieces >= 0 else b""


async def _calls_of_pull(size: int) -> float:
    """Calls in the loop's thread for each chunk of a pull, once it is under way."""
    settings = load_settings()
    counts = []
    for pieces in (PIECES, 2 * PIECES):
        worker_pool = WorkerPool(threads=1, buffer_bytes=64 * MIB, piece_bytes=MIB)
        lanes = worker_pool.lanes([len])  # type: ignore[list-item] # a work whose cost is known
        clock = PeerClock(lambda: 0.0)
        calls = Calls()
        sys.setprofile(calls._see)  # noqa: SLF001 - this thread alone
        await pull(
            _Memory(pieces, size), guards_of_pull(settings, clock), lanes, clock, piece_bytes=lambda: size
        )
        sys.setprofile(None)
        await lanes.close()
        worker_pool.close()
        counts.append(calls.count)
    return (counts[1] - counts[0]) / PIECES


def guards_of_pull(settings: Settings, clock: PeerClock) -> list[Guard]:
    """The guards that look at the bytes of a pull."""
    submission = Submission(url="http://example.org/", disk_format="raw", max_bytes=settings.size.max_bytes)
    context = GuardContext(purpose=Purpose.PULL, settings=settings, submission=submission)
    chain = Chain(context)
    return [*chain.guards, *chain.of_peer(clock)]


async def _of_requests() -> list[Count]:
    """Calls and statements of one request of each kind, on a service in this process."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        seed(home / "data" / "index.sqlite", 1000)
        sections: dict[str, dict[str, Any]] = {
            "store": {"folder": "data", "reserve_bytes": 0, "reserve_percent": 0.0},
            "imports": {
                "max_submits_per_minute": 100_000,
                "max_submits_per_minute_per_origin": 100_000,
                "max_submits_per_minute_in_all": 100_000,
            },
            "log": {"level": "error", "held_loop_seconds": 3600.0},
            # The scrub must not be counted, nor find that the index is all that there is.
            "maintenance": {"scrub_days": 36_500.0, "scrub_bytes_per_second": 65_536},
        }
        (home / "config.toml").write_text(toml(sections))
        calls = Calls()
        with calls.counting():  # The writer's and readers' threads start within.
            service = Service(home / "config.toml")
            set_up_logs(service.settings)
            async with service.app.router.lifespan_context(service.app):
                await until_started(service)
                # Submissions stay in line: nothing is looked up or dialled.
                service.app.state.services.importer._pulls._is_open = False  # noqa: SLF001 - nothing is to run while requests are counted
                rows = await _requests(service, calls)
        return rows


async def _requests(service: Service, calls: Calls) -> list[Count]:
    body = json.dumps({"url": "http://source.example/x", "disk_format": "raw"}).encode()

    def asking(method: str, path: str, sent: bytes = b"") -> Callable[[], Awaitable[int]]:
        return lambda: ask(service, method, path, sent)

    cases = [
        ("calls of GET /v2/images?limit=100", asking("GET", "/v2/images?limit=100"), 1170),
        ("calls of GET /v2/images/ID", asking("GET", f"/v2/images/{image_id(500)}"), 335),
        ("calls of POST /imports", asking("POST", "/imports", body), 890),
        ("calls of GET /healthz", asking("GET", "/healthz"), 190),
    ]
    rows = []
    for name, case, most in cases:
        if await case() >= 300:
            raise RuntimeError(f"{name}: the request was refused")
        before = calls.count
        for _ in range(20):
            await case()
        rows.append(Count(name=name, value=(calls.count - before) / 20, most=most))
    return rows


async def ask(service: Service, method: str, path: str, body: bytes) -> int:
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "app": service.app,
    }
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        answers.append(message)

    await service.app(scope, receive, send)
    return int(answers[0]["status"])


def _statements() -> list[Count]:
    """Steps of SQLite's machine for a page, over a small and a larger index."""
    steps = {}
    actor = Actor(project_id="default", user_id="u", roles=frozenset({"member"}))
    with tempfile.TemporaryDirectory() as folder:
        for size in (1000, 20_000):
            path = Path(folder) / f"{size}.sqlite"
            seed(path, size)
            db = Database(sqlite3.connect(path))
            for name, marker in (("first page", None), ("page from the middle", image_id(size // 2))):
                query = listing.ImageQuery(limit=100, marker=marker)
                sql, arguments = listing.statement(db, query, actor)
                steps[name, size] = _steps(db, sql, arguments)
            db.conn.close()
    return [
        Count(
            name=f"SQLite's steps for the {name} of 20,000 images, x those of 1,000",
            value=steps[name, 20_000] / steps[name, 1000],
            most=1.2,
        )
        for name in ("first page", "page from the middle")
    ]


def _steps(db: Database, sql: str, arguments: dict[str, object]) -> int:
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    db.conn.set_progress_handler(step, 10)
    rows = list(db.query(sql, arguments))
    db.conn.set_progress_handler(None, 0)
    if len(rows) != 100:
        raise RuntimeError(f"a page of {len(rows)} images")
    return taken


MAX_OF_IMPORT = {"calls": 6_100, "statements": 30, "transactions": 3, "changes of file": 350}


async def _of_import() -> list[Count]:
    """The cost of an import of 64 KiB from its submission to its end."""
    found = await cost_of_import(Calls(), ask)
    found["changes of file"] = (await cost_of_import(Way(), ask))["calls"]
    return [
        Count(name=f"{what} of an import of 64 KiB", value=found[what], most=most)
        for what, most in MAX_OF_IMPORT.items()
    ]


def way() -> int:
    """Print which calls of one import go from one file to another, the most frequent first."""
    seen = Way()
    asyncio.run(cost_of_import(seen, ask, warmed=seen.changes.clear))
    for (caller, called, function), number in seen.changes.most_common():
        print(f"{number / COUNTED:6.1f}  {caller or '-'} -> {called} {function}")
    return 0


def check() -> int:
    """Count everything; the exit code is 1 when something costs more than it may."""
    rows = [
        Count(name="calls for each chunk of 1 MiB", value=asyncio.run(_calls_of_pull(MIB)), most=70),
        Count(name="calls for each chunk of 16 KiB", value=asyncio.run(_calls_of_pull(16_384)), most=70),
        *asyncio.run(_of_requests()),
        *asyncio.run(_of_import()),
        *_statements(),
    ]
    width = max(len(row.name) for row in rows)
    for row in rows:
        words = "ok" if row.is_met else "TOO MUCH"
        print(f"{row.name:{width}}  {row.value:10,.2f}  at most {row.most:8,.1f}  {words}")
    return 0 if all(row.is_met for row in rows) else 1
