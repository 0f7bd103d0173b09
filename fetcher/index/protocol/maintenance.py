"""Maintenance of the store and of the index itself, as verbs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from fetcher.index.values import BlobState


class Maintenance(Protocol):
    """Verbs on blobs to read again, on files without a row, and on what is old."""

    async def loose(self, before: datetime | None = None) -> list[tuple[str, datetime]]:
        """Return blobs whose file may be there without a row, and since when; none in a commit."""

    async def is_loose(self, address: str) -> bool:
        """Return whether a file is about to get its row, or has just lost it."""

    async def disown(self, address: str) -> bool:
        """Confirm that no row needs a blob; False where one does.

        It is certain also after a commit that reported an error and may count all the same.

        Raises:
            StoreFailed: Nothing is certain now: leave the file to the next start.
        """

    async def settle(self, address: str) -> None:
        """Forget a loose file: it is gone, or has a row."""

    async def page(self, *, after: str = "", limit: int = 1000) -> list[BlobState]:
        """Return all blobs in the order of their names, a page at a time."""

    async def due(self, before: datetime, *, limit: int = 100) -> list[BlobState]:
        """Return blobs that nobody has read since `before`, the longest first."""

    async def faulty(self, *, after: str = "", limit: int = 100) -> list[BlobState]:
        """Return blobs marked as missing or corrupt, in the order of their names, a page at a time."""

    async def find(self, address: str) -> BlobState | None:
        """Return one blob; None when no row needs it any more."""

    async def mark(self, address: str, fault: str | None, now: datetime) -> bool:
        """Note what reading a blob showed; False when its row is gone."""

    async def explain(self, address: str, note: str) -> None:
        """Write beside a faulty blob why it could not be brought back."""

    async def check_whole(self, address: str) -> None:
        """Refuse bytes that are marked as missing or corrupt.

        Raises:
            BytesDamaged: They are.
        """

    async def digests(self, address: str) -> dict[str, str] | None:
        """Return the digests of a blob that are known; None when no row needs it any more."""

    async def add_digests(self, address: str, digests: Mapping[str, str]) -> bool:
        """Note further digests of a blob; False when its row is gone. Those that are known stay."""

    async def lacking(
        self, algorithms: Collection[str], *, after: str = "", limit: int = 100
    ) -> list[BlobState]:
        """Return whole blobs without one of these digests, in the order of their names, a page at a time."""

    async def sources(self, address: str) -> list[dict[str, Any]]:
        """Return the provenance of the images that have these bytes, the newest ones."""

    async def images_of(self, address: str) -> list[str]:
        """Return the ids of the images that have these bytes or wait for them, the newest ones."""

    async def forget(
        self, *, audit_before: datetime, keys_before: datetime, retired_before: datetime, most: int = 1000
    ) -> int:
        """Drop old lines of the audit trail, old idempotency keys and retired ids; how many went.

        What is kept of projects that hold nothing goes too.
        """

    async def surplus(self, most: int, most_bytes: int) -> list[str]:
        """Name the ended imports beyond what each project may keep, in records and in bytes of text."""

    async def drop(self, import_ids: Sequence[str]) -> int:
        """Drop the records of ended imports; how many went."""

    async def trim_audit(self, most_lines: int, *, most: int = 1000) -> int:
        """Drop the oldest lines of the audit trail beyond a number; how many went."""

    async def miscounted(self) -> list[str]:
        """Return projects whose usage is not what their images and imports say."""

    async def recount(self) -> None:
        """Count all usage anew."""

    @property
    def is_checked(self) -> bool:
        """Return whether a start had the time to look at all pages of the index."""

    @property
    def committed_at(self) -> float:
        """Return when the index was last written, on the monotonic clock."""

    async def probe(self, seconds: float) -> list[str]:
        """Write a page, and look at pages for a moment; what is wrong with them is returned.

        Raises:
            StoreFailed: The index cannot be read or written.
        """

    async def damage(self) -> list[str]:
        """Return what is wrong with the pages of the index; beside everything else, however long it takes.

        Raises:
            StoreFailed: It cannot be read now.
        """

    async def complaints(self) -> list[str]:
        """Return what the database itself finds wrong: broken pages, dangling references, lost parts."""
