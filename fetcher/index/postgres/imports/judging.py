"""The turn of a transaction that adds imports: what it has to know, and a verdict on each of them."""

from collections import Counter
from typing import Protocol

import msgspec

from fetcher.errors import QueueFull, QuotaExceeded
from fetcher.index.postgres.bookkeeping.usage import Held, check_begun, check_grown
from fetcher.index.postgres.session import Session
from fetcher.index.rows import Row
from fetcher.index.values import NewImport, Quota
from fetcher.model import text_bytes

TURN = "SELECT held, waiting, number, digest FROM submission_turn(?)"
_HELD = msgspec.json.Decoder(dict[str, Held])


class Quotas(Protocol):
    """The quotas of projects."""

    def of(self, project_id: str) -> Quota:
        """Return the quota of a project that is in force now."""


class Turn:
    """Judges imports one after the other as if each were alone, while nobody else adds any; it writes none.

    Attributes:
        head: The number and the digest of the last line of the trail.
    """

    def __init__(self, db: Session, found: Row, max_queued: int) -> None:
        self._db = db
        self._waiting: int = found["waiting"]
        self._max_queued = max_queued
        self._held = _HELD.decode(found["held"])
        self._added: Counter[str] = Counter()  # Images of each project that are not written yet.
        self.head = found

    @classmethod
    async def take(cls, db: Session, projects: set[str], max_queued: int) -> "Turn":
        """Take the locks of all that add imports for these projects, and look what there is."""
        [found] = await db.select(TURN, [sorted(projects)])
        return cls(db, found, max_queued)

    async def verdict(self, new: NewImport) -> QueueFull | QuotaExceeded | None:
        """Return why an import is refused; None for one that is to be written, which counts from here on."""
        if self._waiting >= self._max_queued:
            return QueueFull(scope="the service's queue", limit=self._max_queued)
        if self._db.quotas is not None:
            try:
                await self._check_quota(new, self._db.quotas)
            except QuotaExceeded as refusal:
                return refusal
        self._waiting += 1
        return None

    async def _check_quota(self, new: NewImport, quotas: Quotas) -> None:
        project_id, image = new.record.project_id, new.image
        before = now = self._held[project_id]
        is_added = new.record.owns_image
        if is_added:
            images, size, text = before
            text += text_bytes(image.name, image.tags, image.properties)
            now = (images + 1, size + (image.size or 0), text)
        quota = quotas.of(project_id)
        # No project writes more images than it has, or has staged more bytes than it holds: seldom counted.
        if not (_is_within(now[0], quota.max_uploading) and _is_within(now[1], quota.max_staged_bytes)):
            [begun] = await self._db.select("SELECT uploading, staged FROM begun_by(?)", [project_id])
            check_begun(quota, begun["uploading"] + self._added[project_id] + is_added, begun["staged"])
        check_grown(quota, before, now)
        self._held[project_id] = now
        self._added[project_id] += is_added


def _is_within(held: int, most: int | None) -> bool:
    return most is None or held <= most
