"""Imports that a stopped process left behind, as verbs."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from fetcher.index.values import LeftBehind
from fetcher.model import Import


class Recovery(Protocol):
    """Domain verbs of a start, however many imports there are."""

    async def left_behind(self, sent: Collection[str] = ()) -> LeftBehind:
        """Return what has no end and nobody else holds.

        Ask before this worker runs anything: what it held itself is free to it.

        Args:
            sent: Methods whose bytes somebody sends; imports by others are taken up, with their secrets.
        """

    async def take_up(self, interrupted: Sequence[Import], now: datetime) -> None:
        """End some imports that nobody else holds, and queue all others, in one transaction."""
