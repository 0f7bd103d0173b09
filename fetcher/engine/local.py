"""The engine of one host: it is alone, and what happens it does itself."""

import asyncio
from collections.abc import Sequence

from fetcher.engine.protocol import Claims, Engine, Holding, Lost, OnSignal
from fetcher.engine.values import Caps, Elsewhere, Host, HostState, Place, Progress
from fetcher.index.values import Secrets
from fetcher.model import Import


class LocalEngine:
    """Grants everything, and knows no other host."""

    is_shared = False

    def __init__(self, host: Host | None = None) -> None:
        self.host = host or Host()

    @property
    def troubles(self) -> list[str]:
        return []

    def watch(self, on_signal: OnSignal) -> None:
        del on_signal

    async def listen(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def beat(self, running: int) -> bool:
        del running
        return True

    async def hold(self, claims: Claims, lost: Lost) -> None:
        del claims, lost
        await asyncio.get_running_loop().create_future()

    async def hosts(self) -> list[HostState]:
        return []

    async def enter(self, place: Place, caps: Caps) -> bool:
        del place, caps
        return True

    async def move(self, place_id: str, origin: str, most: int) -> bool:
        del place_id, origin, most
        return True

    async def seal(self, place_id: str) -> None:
        del place_id

    async def leave(self, place_id: str) -> None:
        del place_id

    async def elsewhere(self) -> Elsewhere:
        return Elsewhere()

    async def queued(self, import_ids: Sequence[str] | None = None) -> list[tuple[Import, Secrets]]:
        del import_ids
        return []

    async def overdue(self) -> list[tuple[Import, Secrets | None]]:
        return []

    async def take_over(self, import_ids: Sequence[str]) -> None:
        del import_ids

    async def take_exports(self) -> int:
        return 0

    async def leads(self, chore: str) -> bool:
        del chore
        return True

    async def report_progress(self, progress: Sequence[Progress]) -> None:
        del progress

    async def shared(self, name: str) -> bytes | None:
        del name
        return None

    async def share(self, name: str, known: bytes | None, value: bytes) -> bytes:
        del name, known
        return value

    def across(self, holding: Holding) -> Holding:
        return holding


# The type checker holds this engine against the protocol here.
_CHECKED: type[Engine] = LocalEngine
