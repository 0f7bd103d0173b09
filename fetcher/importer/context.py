"""The services that every import needs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fetcher.aio.supervisor import Supervisor
from fetcher.attest import KeyFolder, PromptSigner
from fetcher.config import Current
from fetcher.convert.sandbox import Walls, probe_walls
from fetcher.engine import LocalEngine
from fetcher.engine.protocol import Engine
from fetcher.guards import LimitsInForce
from fetcher.importer import tracing
from fetcher.index.protocol import Index
from fetcher.model import Actor
from fetcher.pipeline import GuardTimes, WorkerPool
from fetcher.store.protocol import Store
from fetcher.transport import Gate

# Who acts where the service does its own work, which it was allowed to when it took the work.
ENGINE = Actor(project_id="", user_id="engine", roles=frozenset({"admin"}))


class Sandbox:
    """The walls that stand around conversions here; they are tried once, when first asked for."""

    def __init__(self) -> None:
        self.walls: Walls | None = None
        self._lock = asyncio.Lock()

    async def find(self) -> Walls:
        """Return the walls, after trying them with a harmless canary."""
        async with self._lock:
            if self.walls is None:
                self.walls = await probe_walls()
            return self.walls


async def no_token() -> str | None:
    """Return nothing: this service has no account of its own."""
    return None


class WantedDigests:
    """Digests of blobs that callers asked for; they ask again if a request is lost."""

    MAX_WANTED = 20_000  # As many as may be in a list that needs them.

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self._wanted: dict[tuple[str, str], None] = {}

    def ask(self, address: str, algorithm: str) -> None:
        """Ask for a digest; it is in the index some time later."""
        if len(self._wanted) < self.MAX_WANTED:
            self._wanted[address, algorithm] = None
            self.news.set()

    def take(self) -> tuple[str, str] | None:
        """Take the next one: an address and an algorithm; None where nothing is wanted."""
        if not self._wanted:
            self.news.clear()
            return None
        first = next(iter(self._wanted))
        del self._wanted[first]
        return first


@dataclass(frozen=True, kw_only=True)
class Context:
    """The rooms below the importer, and the limits in force now.

    Args:
        current: The settings in force now.
        folder: Of this host: keys, and the index where that is a file.
        sandbox: Which walls stand around conversions.
        supervisor: Owns what runs in the background.
        in_force: Tells the limits in force by their names.
        engine: What this host knows of the others.
        service_token: Gives a token of this service's own account, where it has one.
        is_traced: A destination for traces was configured when the service was put together.
        unsigned: Set whenever an image has its bytes and no statement: the attestor waits for it.
        damaged: Set whenever a blob is marked as missing or corrupt: the repair waits for it.
        wanted: Digests that were asked for and are not computed yet: maintenance does it.
    """

    folder: Path
    index: Index
    store: Store
    gate: Gate
    worker_pool: WorkerPool
    current: Current
    in_force: LimitsInForce = field(default_factory=LimitsInForce)
    guard_times: GuardTimes = field(default_factory=lambda: GuardTimes(time.perf_counter))
    service_token: Callable[[], Awaitable[str | None]] = no_token
    sandbox: Sandbox = field(default_factory=Sandbox)
    unsigned: asyncio.Event = field(default_factory=asyncio.Event)
    damaged: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: WantedDigests = field(default_factory=WantedDigests)
    supervisor: Supervisor = field(default_factory=Supervisor)
    engine: Engine = field(default_factory=LocalEngine)
    is_traced: bool = field(default_factory=tracing.is_set_up)

    @cached_property
    def signer(self) -> PromptSigner:
        """Return who signs statements with this host's own key."""
        return PromptSigner(KeyFolder.of(self.folder))

    @cached_property
    def holding(self) -> Callable[[str], AbstractAsyncContextManager[None]]:
        """Given an address, keeps commit and removal of its bytes apart, here and on every other host."""
        return self.engine.across(self.store.holding)
