"""Downloads, as verbs: what a crash must not lose of them, and where earlier ones led."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from fetcher.index.values import Remembered, ResumeState


class Pulls(Protocol):
    """Verbs on pulls."""

    async def keep(self, resume_state: ResumeState) -> None:
        """Write down how far a pull is."""

    async def release(self, resume_state: ResumeState) -> None:
        """Write down how far a pull came that this host has stopped: any host may go on with it."""

    async def keep_all(self, resume_states: Sequence[ResumeState]) -> None:
        """Write down how far several pulls are, in one transaction."""

    async def drop(self, pull_id: str) -> None:
        """Forget a pull that has ended."""

    async def drop_all(self, pull_ids: Sequence[str]) -> None:
        """Forget several pulls, in one transaction."""

    async def unfinished(self) -> list[ResumeState]:
        """Return all pulls that an earlier process left."""

    async def adopt(self, request: str) -> ResumeState | None:
        """Take the furthest pull of a request that its host released, or that a host had which is gone.

        From here on, what its former host writes of it changes nothing.
        """

    async def remember(self, project_ids: Sequence[str], request: str, etag: str, address: str) -> None:
        """Note what a URL holds; nothing is noted once the blob is gone."""

    async def recall(self, request: str) -> list[Remembered]:
        """Return what a URL held, of which the bytes are still there and whole."""

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        """Drop what URLs held before a moment."""
