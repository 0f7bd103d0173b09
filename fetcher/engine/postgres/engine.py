"""The engine of several hosts, as domain verbs over one database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import msgspec
import psycopg
import structlog
from psycopg import Notify

from fetcher.engine.postgres import hosts, keys, takeover
from fetcher.engine.postgres.host_session import HostSession
from fetcher.engine.postgres.pulse import Pulse
from fetcher.engine.protocol import Claims, Engine, Holding, Lost, OnSignal
from fetcher.engine.values import Caps, Elsewhere, Host, HostState, Place, Progress, Signal
from fetcher.errors import StoreFailed
from fetcher.index.postgres.session import Connection
from fetcher.index.values import Secrets, Waiting
from fetcher.model import Import

log = structlog.get_logger()

CHANNEL = "fetcher"
RECONNECT_SECONDS = 1.0  # Before it connects again to listen.
REPORTS_PER_NOTIFICATION = 50  # Of at most 120 bytes each: a notification holds less than 8000.
_PROGRESS = msgspec.json.Decoder(tuple[Progress, ...])
_WAITING = msgspec.json.Decoder(tuple[Waiting, ...])


class PostgresEngine:
    """Knowledge that hosts have of each other through the database of their index.

    Args:
        connection: The index's own.
        host: This one.
    """

    channels: tuple[str, ...] = (CHANNEL,)

    def __init__(self, connection: Connection, host: Host) -> None:
        self.host = host
        self._connection = connection
        self._session = HostSession(connection.access, host.lease_seconds)
        self._watchers: list[OnSignal] = []

    async def __aenter__(self) -> Self:
        """Take this host's name."""
        await self._connection.write(hosts.arrive, self.host)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give everything back, so that nobody waits for the lease."""
        with suppress(StoreFailed):
            await self._connection.write(hosts.depart, self.host)
        await self._session.close()

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def troubles(self) -> list[str]:
        return []

    def watch(self, on_signal: OnSignal) -> None:
        self._watchers.append(on_signal)

    async def listen(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                log.warning("engine.deaf", detail=str(error), again_in_seconds=RECONNECT_SECONDS)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with await self._connection.access.connect() as connection:
            for channel in self.channels:
                await connection.execute(f"LISTEN {channel}".encode())
            self._say(Signal(what="missed"))
            async for notification in connection.notifies():
                self._on_notification(notification)

    def _on_notification(self, notification: Notify) -> None:
        signal = read(notification.payload)
        if signal is not None:
            self._say(signal)

    def _say(self, signal: Signal) -> None:
        for on_signal in self._watchers:
            on_signal(signal)

    async def beat(self, running: int) -> bool:
        mine = [self.host.lease_seconds, running, self.host.name, self.host.start]
        if await self._session.ask(hosts.BEAT, mine):
            return True
        return await self._connection.write(hosts.arrive_again, self.host)

    async def hold(self, claims: Claims, lost: Lost) -> None:
        await Pulse(self._connection.access, self.host, claims, lost).keep()

    async def hosts(self) -> list[HostState]:
        return await self._connection.read(hosts.states)

    async def enter(self, place: Place, caps: Caps) -> bool:
        return await self._connection.write(hosts.enter, self.host, place, caps)

    async def move(self, place_id: str, origin: str, most: int) -> bool:
        return await self._connection.write(hosts.move, place_id, origin, most)

    async def seal(self, place_id: str) -> None:
        await self._connection.write(hosts.seal, place_id)

    async def leave(self, place_id: str) -> None:
        await self._connection.write(hosts.leave, place_id)

    async def elsewhere(self) -> Elsewhere:
        return await self._connection.read(hosts.elsewhere, self.host)

    async def queued(self, import_ids: Sequence[str] | None = None) -> list[tuple[Import, Secrets]]:
        return await self._connection.read(takeover.queued, import_ids)

    async def overdue(self) -> list[tuple[Import, Secrets | None]]:
        return await self._connection.read(takeover.overdue, self.host.name)

    async def take_over(self, import_ids: Sequence[str]) -> None:
        await self._connection.write(takeover.take_over, self.host.name, import_ids)

    async def take_exports(self) -> int:
        return await self._connection.write(takeover.take_exports, self.host.name)

    async def leads(self, chore: str) -> bool:
        return await self._connection.write(hosts.lead, self.host, chore)

    async def report_progress(self, progress: Sequence[Progress]) -> None:
        for begin in range(0, len(progress), REPORTS_PER_NOTIFICATION):
            text = msgspec.json.encode(progress[begin : begin + REPORTS_PER_NOTIFICATION]).decode()
            await self._session.ask("SELECT pg_notify(%s, %s)", [CHANNEL, f"progress {text}"])

    async def shared(self, name: str) -> bytes | None:
        return await self._connection.read(keys.find, name)

    async def share(self, name: str, known: bytes | None, value: bytes) -> bytes:
        return await self._connection.write(keys.put, name, known, value)

    def across(self, holding: Holding) -> Holding:
        @asynccontextmanager
        async def held(address: str) -> AsyncIterator[None]:
            async with holding(address), self._session.holding(f"holding {address}"):
                yield

        return held


def read(payload: str) -> Signal | None:
    """Parse a notification; None for one of a kind that only a later version knows."""
    what, _space, rest = payload.partition(" ")
    try:
        if what == "offer":
            return Signal(what="import", id=rest.split()[0], state="queued")
        if what in ("import", "export"):
            name, state, claim = rest.split()
            return Signal(
                what="import" if what == "import" else "export", id=name, state=state, claim=int(claim)
            )
        if what == "progress":
            return Signal(what="progress", progress=_PROGRESS.decode(rest))
        if what == "waiting":
            return Signal(what="waiting", waiting=_WAITING.decode(rest))
    except (IndexError, ValueError, msgspec.ValidationError):
        return None
    return Signal(what="places") if what == "places" else None


# The type checker holds this engine against the protocol here.
_CHECKED: type[Engine] = PostgresEngine
