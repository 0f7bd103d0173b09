"""Values that an engine takes and gives."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, Self

import msgspec

from fetcher.index.values import Waiting
from fetcher.model import Import, Phase

Role = Literal["api", "worker"]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the service.

    Args:
        name: The same after a restart.
        start: Different after each.
        engine: The kind of its engine.
        lease_seconds: How long the others take it for alive without a renewal.
    """

    name: str = "local"
    start: str = ""
    engine: str = "local"
    roles: tuple[Role, ...] = ("api", "worker")
    version: str = ""
    lease_seconds: float = 60.0

    @property
    def beat_seconds(self) -> float:
        """Return how often it says that it lives."""
        return self.lease_seconds / 3


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a host.

    Args:
        seconds: What is left of its lease, by the database's clock; negative when it is over.
        running: Imports that it said it runs.
        places: Pulls that it has.
        chores: What it does for all of them.
        engine: The kind of engine it works with.
    """

    name: str
    roles: tuple[str, ...]
    version: str
    engine: str
    seconds: float
    up_seconds: float
    running: int
    places: int
    chores: tuple[str, ...]

    @property
    def is_alive(self) -> bool:
        """Return whether its lease holds."""
        return self.seconds > 0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The room of one pull among those of all hosts.

    Args:
        request: Equal for imports that may join it; None where none may.
    """

    id: str
    project_id: str
    origin: str
    request: str | None = None


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """The most pulls that there may be, over all hosts."""

    project: int
    origin: int


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """The room that pulls of other hosts take.

    Args:
        requests: Those that may be joined there.
    """

    requests: frozenset[str] = frozenset()
    by_project: Mapping[str, int] = Counter()
    by_origin: Mapping[str, int] = Counter()


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """The progress of a running import, as its host reports it now and then."""

    import_id: str
    claim: int
    received_bytes: int
    expected_bytes: int | None = None
    bytes_per_second: int | None = None
    phase: Phase | None = None

    @classmethod
    def of(cls, record: Import) -> Self:
        """Return the progress that a record shows."""
        rate = None if record.bytes_per_second is None else round(record.bytes_per_second)
        return cls(record.id, record.claim, record.received_bytes, record.expected_bytes, rate, record.phase)

    def seen_in(self, record: Import) -> Import:
        """Return a record with this progress; unchanged where the progress is that of another run."""
        if self.claim != record.claim or record.state.is_final:
            return record
        changes = {name: getattr(self, name) for name in ("received_bytes", "expected_bytes", "phase")}
        return msgspec.structs.replace(record, bytes_per_second=self.bytes_per_second, **changes)


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A change that one host announces to all hosts.

    Args:
        what: `import` or `export`: one has changed. `waiting`: imports are queued; sent ahead of their own
            signals. `places`: a place was taken or left. `progress`: imports made progress. `missed`: signals
            may be lost, because the connection was.
        id: Of the import or export.
        state: Its state.
        claim: Under which it is in that state.
        wakes: Whether this host may claim it; False where another host was chosen.
    """

    what: Literal["import", "export", "waiting", "places", "progress", "missed"]
    id: str = ""
    state: str = ""
    claim: int = 0
    progress: tuple[Progress, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    wakes: bool = True
