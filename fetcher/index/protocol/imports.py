"""Imports, from submission to verdict, as verbs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from fetcher.index.values import ANSWER_BYTES, Claimed, Contents, NewImport, Rows, Secrets, Signed
from fetcher.model import Actor, Blob, Image, Import, Verdict


class Imports(Protocol):
    """Verbs on imports.

    Every write of a running import carries its claim number: one that lost
    its claim changes nothing, and the verb returns False or None.
    """

    async def submit(self, new: NewImport, *, max_queued: int) -> Import:
        """Write a new import and its image, or find the one that the same key made before.

        Raises:
            IdempotencyMismatch: The key was used with another request.
            QueueFull: As many imports wait as may.
            Conflict: The image that was there already does not wait for bytes, or is gone.
        """

    async def begin(self, new: NewImport, *, max_queued: int, now: datetime) -> tuple[Import, Claimed | None]:
        """Write a new import as `submit` does, and claim it in the same transaction.

        Returns:
            The import as it was submitted, and the claim; None where the same key made it before.
        """

    async def find(self, import_id: str, actor: Actor) -> Import:
        """Return one import that the actor may see.

        Raises:
            UnknownImport: There is none, or it is another project's.
        """

    async def page(
        self,
        actor: Actor,
        filters: dict[str, str],
        *,
        limit: int,
        marker: str | None = None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Rows[Import]:
        """Return the newest imports that the actor may see, after `marker`; filters are on `FILTERS`.

        Fewer than `limit` come where they hold more than `max_bytes`.

        Raises:
            UnknownImport: There is no import `marker`.
        """

    async def truths(self, actor: Actor, import_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return what really ended imports, by their ids: for admins alone; others get nothing."""

    async def requeue(self, import_id: str, now: datetime) -> int:
        """Put an import that a stopped process left behind back into the queue; returns its new claim."""

    async def claim(self, import_id: str, now: datetime) -> Claimed | None:
        """Take a waiting import for this run, its first attempt begun; None when it ended meanwhile."""

    async def renew(self, claims: Mapping[str, int]) -> list[str]:
        """Hold running imports, by id and claim, for another lease; return those that are lost or over.

        A lease counts from now by the index's own clock. It keeps others from taking up what
        somebody still runs; what makes a write count is the claim alone.
        """

    async def record(self, record: Import) -> bool:
        """Write down how far a running import is."""

    async def announce(self, record: Import) -> list[str]:
        """Write down which blob a running import is about to bring, before its bytes are in their place.

        Returns:
            The addresses of the blobs that have one of the import's strong digests already.
        """

    async def activate(
        self,
        record: Import,
        blob: Blob,
        image: Image | Contents,
        provenance: dict[str, Any],
        signed: Signed | None = None,
    ) -> bool:
        """Make the image visible as active and end the import, all at once.

        A blob that was marked as damaged is whole from now on: its bytes have just been digested.

        Args:
            image: As it is with its bytes, or what changes of it.
            signed: The statement made of the provenance, where it is signed already.
        """

    async def secrets(self, import_id: str) -> Secrets:
        """Return what only the pull of an import that has not ended may know."""

    async def deliver(self, record: Import, provenance: dict[str, Any]) -> bool:
        """End an import whose image is at the target and not here; False when it lost its claim."""

    async def end(self, record: Import, detail: dict[str, Any]) -> bool:
        """End an import without an image; `detail` is for the audit trail only."""

    async def cancel(self, import_id: str, actor: Actor, verdict: Verdict, now: datetime) -> Import:
        """End an import because its owner says so; from here on its run can change nothing.

        Raises:
            UnknownImport: There is none, or it is another project's.
            Conflict: It has ended in another way.
        """

    async def provenance(self, import_id: str, actor: Actor) -> dict[str, Any] | None:
        """Return where an image's bytes came from; None while there is no image.

        Raises:
            UnknownImport: There is no such import.
        """

    async def forget(self, before: datetime, *, most: int = 1000) -> int:
        """Drop imports that ended before a moment; images and their provenance stay.

        So do imports whose notification is not delivered yet.
        """

    async def counts(self) -> dict[str, int]:
        """Return how many imports have not ended, by state."""
