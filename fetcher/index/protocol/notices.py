"""Webhooks that are due, as verbs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from fetcher.index.values import Due, Wanted
from fetcher.model import Import, Notice


class Notices(Protocol):
    """Domain verbs of notices."""

    def watched(self, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `wake` in the running loop whenever a notice has become due by an import's end.

        It may be called without need, and a notice may become due by the clock alone: ask `due`.
        """

    async def due(self, wanted: Wanted) -> list[Due]:
        """Return the first due notification of each project."""

    async def next_at(self) -> datetime | None:
        """Return when the next one is due by the date that was written down; None when there is none."""

    async def postpone(self, import_id: str, notice: Notice) -> None:
        """Write down an attempt that came to nothing; the next one is at its `next_at`."""

    async def settle(self, record: Import, notice: Notice) -> None:
        """Record a delivery, or that it was given up; the receiver's URL and secret are deleted."""

    async def excess(self, most: int) -> list[str]:
        """Return the imports whose notices are too many, those that wait for longest first."""

    async def waiting(self) -> int:
        """Return the number of notifications that are not delivered yet."""
