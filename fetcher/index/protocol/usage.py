"""What an index does with what projects hold."""

from typing import Protocol

from fetcher.index.values import Usage


class Usages(Protocol):
    """Verbs on what projects hold."""

    async def find(self, project_id: str) -> Usage:
        """Return what a project holds now."""
