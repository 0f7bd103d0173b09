"""Imports that a stopped process left behind, as verbs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from fetcher.index.values import Secrets
from fetcher.model import Import


class Recovery(Protocol):
    """Domain verbs of a start, however many imports there are."""

    async def left_behind(self) -> list[tuple[Import, Secrets | None]]:
        """Return what has no end and nobody else holds, oldest first; what was sent has no secrets.

        Ask before this worker runs anything: what it held itself is free to it.
        """

    async def take_up(self, interrupted: Sequence[Import], now: datetime) -> None:
        """End some imports that nobody else holds, and queue all others, in one transaction."""
