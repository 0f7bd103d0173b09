"""The verbs of an engine: which host runs what, signals between hosts, and chores that one does for all.

`tests/contract/test_engine.py` says what each verb promises. Claims and leases
of imports are in their rows, and fence every write (`index`): whatever an engine
does or forgets, it can delay work and repeat it, and never spoil a record.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fetcher.engine.values import Caps, Elsewhere, Host, HostState, Place, Progress, Signal
from fetcher.index.values import Secrets
from fetcher.model import Import

OnSignal = Callable[[Signal], None]
Claims = Callable[[], Mapping[str, int]]
Lost = Callable[[list[str]], None]
Holding = Callable[[str], AbstractAsyncContextManager[None]]


class Engine(Protocol):
    """The knowledge that this host has of the others."""

    host: Host

    @property
    def is_shared(self) -> bool:
        """Return whether there may be other hosts."""

    @property
    def troubles(self) -> list[str]:
        """Return what the engine cannot do now, for operators; the service goes on without it."""

    def watch(self, on_signal: OnSignal) -> None:
        """Call `on_signal` in the running loop with every signal from now on, this host's own signals too."""

    async def listen(self) -> None:
        """Receive signals for ever; after a lost connection, send the signal `missed`."""

    async def beat(self, running: int) -> bool:
        """Say that this host lives, for another lease; False when a later start has its name."""

    async def hold(self, claims: Claims, lost: Lost) -> None:
        """Hold this host and what it runs, for ever, however busy its event loop and its connections are.

        Args:
            claims: Return the claim of each import that runs here; called from another thread.
            lost: Called in the running loop with imports that are not this host's any more.
        """

    async def hosts(self) -> list[HostState]:
        """Return all known hosts, by name."""

    async def enter(self, place: Place, caps: Caps) -> bool:
        """Take the room of one pull; False when another host has an equal one, or there is no room.

        False also for a host whose own lease is over: others may have what it ran.
        """

    async def move(self, place_id: str, origin: str, most: int) -> bool:
        """Let a pull count at another origin than before; where there is no room, at none, and False.

        Args:
            most: Pulls of all hosts that may count at the origin.
        """

    async def seal(self, place_id: str) -> None:
        """Let nobody join a pull any more."""

    async def leave(self, place_id: str) -> None:
        """Give the room of a pull back."""

    async def elsewhere(self) -> Elsewhere:
        """Return what the pulls of other hosts take now."""

    async def queued(self, import_ids: Sequence[str] | None = None) -> list[tuple[Import, Secrets]]:
        """Return imports that wait, the oldest first; of these ids alone, where they are given."""

    async def overdue(self) -> list[tuple[Import, Secrets | None]]:
        """Return imports of other hosts that are still to be ended, and that nobody holds any more."""

    async def take_over(self, import_ids: Sequence[str]) -> None:
        """Put those of these imports that nobody holds any more back into the queue."""

    async def take_exports(self) -> int:
        """Put exports of hosts that are gone back into the queue; how many those were."""

    async def leads(self, chore: str) -> bool:
        """Take or keep a chore that one host does for all; False while another one has it."""

    async def report_progress(self, progress: Sequence[Progress]) -> None:
        """Report the progress of imports to all hosts; reports may be lost."""

    async def shared(self, name: str) -> bytes | None:
        """Return the key of that name that all hosts have; None where there is none, or no other host."""

    async def share(self, name: str, known: bytes | None, value: bytes) -> bytes:
        """Give all hosts a key in place of the one that is known; return the one that counts from here on.

        That is another one where another host was faster.
        """

    def across(self, holding: Holding) -> Holding:
        """Return what keeps commit and removal of the same bytes apart on all hosts, not only on this one."""
