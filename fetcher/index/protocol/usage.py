"""Usage of projects, as verbs."""

from typing import Protocol

from fetcher.index.values import Usage


class Usages(Protocol):
    """Verbs on what projects hold."""

    async def find(self, project_id: str) -> Usage:
        """Return what a project holds now."""

    async def bytes_of(self, project_id: str) -> int:
        """Return the bytes of a project's images alone: as quick whatever else waits or runs."""
