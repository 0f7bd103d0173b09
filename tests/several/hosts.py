"""Several hosts of one service: processes of their own, one database, blobs in one folder or bucket."""

import asyncio
import hashlib
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.contract.index.postgres import PostgresPlace
from tests.images import raw
from tests.lab.origin import Exchange, Origin
from tests.processes import Process
from tests.service import Running
from tests.several.lives import Host, Nursery

LEASE_SECONDS = 5.0
SIZE = 4_000_000


class Held:
    """A body of which half comes, and the rest when the test says so; to whomever asks."""

    def __init__(self, seed: int) -> None:
        self.body = raw(SIZE, seed=seed)
        self.sha256 = hashlib.sha256(self.body).hexdigest()
        self.opened = asyncio.Event()
        self.asked = 0

    async def __call__(self, exchange: Exchange) -> None:
        """Serve it."""
        self.asked += 1
        await exchange.send_head("200 OK", {"Content-Length": SIZE, "Connection": "close"})
        await exchange.send_body(self.body[: SIZE // 2])
        await self.opened.wait()
        await exchange.send_body(self.body[SIZE // 2 :])


class Hosts:
    """Hosts `a`, `b`, ...: each with a folder of its own, in which `blobs` leads to one for all.

    Args:
        folder: Where everything is.
        origin: May be fetched from.
        sections: Further keys of each host's configuration; a bucket takes the place of the folder.

    Attributes:
        nursery: What they are forked from; may be that of others, before they start.
    """

    def __init__(
        self, folder: Path, database: PostgresPlace, origin: Origin, count: int, **sections: dict[str, Any]
    ) -> None:
        self._folder = folder
        self._database = database
        self._origin = origin
        self._sections = sections
        self.nursery = Nursery()
        self._is_own = True
        self.processes = [self.make(number) for number in range(count)]

    def forked_from(self, nursery: Nursery, *, is_own: bool = False) -> Self:
        """Have all of them forked from another process; `is_own` where nobody else starts and ends it."""
        self.nursery, self._is_own = nursery, is_own
        for one in self.processes:
            one.nursery = nursery
        return self

    def make(self, number: int, **sections: dict[str, Any]) -> Host:
        """Configure one more host, without starting it."""
        return Host(self.configure(number, **sections), self.nursery)

    def configure(self, number: int, **sections: dict[str, Any]) -> Path:
        """Write the configuration of one more host."""
        home = self._folder / f"host{number}"
        blobs = self._folder / "blobs"
        blobs.mkdir(exist_ok=True, mode=0o700)
        (home / "data").mkdir(parents=True, mode=0o700)
        (home / "data" / "blobs").symlink_to(blobs)
        merged: dict[str, dict[str, Any]] = {
            "server": {"listen": f"127.0.0.{10 + number}:0"},
            "index": {"url": self._database.as_url, "max_connections": 4},
            "cluster": {"host": f"host{number}"},
            "imports": {"lease_seconds": LEASE_SECONDS},
        }
        for name, keys in [*self._sections.items(), *sections.items()]:
            merged[name] = merged.get(name, {}) | keys
        running = Running(home, self._origin, **merged)
        running.write_config()
        return running.config

    def __getitem__(self, number: int) -> Host:
        """Return a host."""
        return self.processes[number]

    async def __aenter__(self) -> Self:
        """Start all of them, side by side."""
        self._stack = AsyncExitStack()
        if self._is_own:
            await self._stack.enter_async_context(self.nursery)
        await asyncio.gather(*(self._stack.enter_async_context(one) for one in self.processes))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of them, frozen ones too."""
        for one in self.processes:
            thaw(one)
        await self._stack.aclose()

    async def submit(self, number: int, **fields: Any) -> dict[str, Any]:
        """Submit at a host what must be taken."""
        body = {"disk_format": "raw"} | fields
        status, document = await self[number].call("POST", "/imports", json=body)
        assert status == 202, document
        return dict(document)

    def runs_at(self, import_id: str) -> str:
        """Which host holds an import now."""
        with psycopg.connect(self._database.url) as connection:
            row = connection.execute("SELECT worker FROM imports WHERE id = %s", [import_id]).fetchone()
        assert row is not None
        return str(row[0])

    def blobs(self) -> list[str]:
        """The names of all blobs."""
        return sorted(path.name for path in (self._folder / "blobs").rglob("*") if path.is_file())


def freeze(process: Process) -> None:
    """Stop a process where it stands; its connections stay."""
    os.kill(process.pid, signal.SIGSTOP)


def thaw(process: Process) -> None:
    """Let a process go on, if it is there."""
    try:
        os.kill(process.pid, signal.SIGCONT)
    except ProcessLookupError:
        return
