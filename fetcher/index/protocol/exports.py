"""Exports, from submission to verdict, as verbs."""

from datetime import datetime
from typing import Any, Protocol

from fetcher.index.values import Export, ExportBounds, IdempotencyKey, ReceiverSecrets
from fetcher.model import Actor


class Exports(Protocol):
    """Verbs on exports; a run that lost its claim changes nothing."""

    async def submit(
        self,
        export: Export,
        secrets: ReceiverSecrets,
        *,
        bounds: ExportBounds,
        key: IdempotencyKey | None = None,
    ) -> Export:
        """Write a new export; return it, or the one that the project's same key made before.

        Raises:
            IdempotencyMismatch: The key was used with another request.
            QueueFull: As many wait or run as may.
            SendLimit: The project would have sent more than it may.
        """

    async def find(self, export_id: str, actor: Actor) -> Export:
        """Return one export that the actor may see; raises UnknownExport."""

    async def page(
        self, actor: Actor, *, limit: int, marker: str | None = None, state: str | None = None
    ) -> list[Export]:
        """Return the newest exports that the actor may see, after `marker`; raises UnknownExport."""

    async def waiting(self) -> list[Export]:
        """Return all that are queued, oldest first."""

    async def requeue(self, now: datetime) -> int:
        """Put what an earlier process left running back into the queue; how many those were."""

    async def claim(self, export_id: str, now: datetime) -> tuple[Export, ReceiverSecrets] | None:
        """Take a waiting export for this run; None when it ended meanwhile."""

    async def record(self, export: Export) -> bool:
        """Write down how far an export is, or how it ended; False when it lost its claim."""

    async def remember(self, export: Export, resume: dict[str, Any]) -> bool:
        """Keep how far the sender is with the receiver, until the end; False when the claim was lost."""

    async def cancel(self, export_id: str, actor: Actor, now: datetime) -> Export:
        """End an export because its owner says so.

        Raises:
            UnknownExport: There is none, or it is another project's.
            Conflict: It has ended in another way.
        """

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        """Drop exports that ended before a moment."""

    async def trim(self, before: datetime, most_kept: int, *, most: int = 1000) -> int:
        """Drop the oldest ended exports of each project beyond a number; how many went.

        Args:
            before: Younger ones stay.
            most_kept: Of one project.
            most: At once.
        """
