"""What every pull needs of the rest of the house."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from fetcher.config import Settings
from fetcher.importer.live import Live
from fetcher.importer.timing import GuardTimes
from fetcher.index import Index
from fetcher.model import Actor
from fetcher.pipeline import Workshop
from fetcher.store import Store
from fetcher.transport import Gate

# Who acts where the service does its own work, which it was allowed to when it took the work.
ENGINE = Actor(project_id="", user_id="engine", roles=frozenset({"admin"}))


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The rooms below the importer, and the limits in force now."""

    index: Index
    store: Store
    gate: Gate
    workshop: Workshop
    settings: Callable[[], Settings]
    guard_times: GuardTimes = field(default_factory=GuardTimes)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a pull tells of itself.

    Args:
        seal: Nobody may follow any more.
        ended: An import is done with.
        go: Takes the pull's own connection to another origin.
        lives: Who runs now, whatever they follow.
    """

    seal: Callable[[], None]
    ended: Callable[[str], None]
    go: Callable[[str], Awaitable[None]]
    lives: Callable[[], Iterable[Live]]
