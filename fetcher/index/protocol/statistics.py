"""Answers to an operator over many rows, and the lists for people, as verbs."""

from datetime import datetime
from typing import Protocol

from fetcher.index.values import (
    Ended,
    Ending,
    ImportPage,
    ListPage,
    ListQuery,
    OriginStatistics,
    ProjectUsage,
    Totals,
)
from fetcher.model import Actor


class Statistics(Protocol):
    """Questions over many rows."""

    async def last_code(self, since: datetime) -> str | None:
        """Return how the last import ended; None when none has since then."""

    async def usage(self, *, limit: int = 100) -> list[ProjectUsage]:
        """Return what each project holds, the largest first."""

    async def totals(self) -> Totals:
        """Return what the store holds."""

    async def endings(self, since: datetime, *, by_hour: bool) -> list[Ending]:
        """Return how imports ended since a moment, by code and hour or day."""

    async def last_ended(self) -> int:
        """Return the newest place in the audit trail; 0 when it is empty."""

    async def ended_after(self, number: int, *, limit: int = 5000) -> list[Ended]:
        """Return the imports that ended after a place in the audit trail, oldest first."""

    async def origins(self, *, limit: int = 50) -> list[OriginStatistics]:
        """Return how origins served the latest imports, the slowest first."""

    async def list_images(self, actor: Actor, query: ListQuery) -> ListPage:
        """Return a page of the images that the caller may open; hidden ones are left out."""

    async def list_imports(self, actor: Actor, query: ListQuery) -> ImportPage:
        """Return a page of the imports of the caller's project."""
