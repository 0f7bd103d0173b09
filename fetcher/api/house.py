"""What the faces need of the rest: handed to them once, at the start."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from fetcher.config import Settings
from fetcher.importer import Importer, Notifier, Upkeep
from fetcher.index import Index
from fetcher.model import Actor
from fetcher.store import Store


@dataclass(frozen=True, kw_only=True)
class House:
    """The parts that every face works with.

    Args:
        settings: What is in force now; changes at SIGHUP.
        identify: Who calls; raises Unauthenticated.
    """

    settings: Callable[[], Settings]
    index: Index
    store: Store
    importer: Importer
    upkeep: Upkeep
    notifier: Notifier
    identify: Callable[[Request], Awaitable[Actor]]


def house_of(request: Request) -> House:
    """The house that a request came to."""
    return cast("House", request.app.state.house)
