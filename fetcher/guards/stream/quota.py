"""A project's quota: what all its images together may hold."""

from collections.abc import Callable

from fetcher.config import Settings
from fetcher.errors import QuotaExceeded
from fetcher.guards.base import Guard, Limit
from fetcher.guards.spec import GuardContext, GuardSpec, Purpose


class QuotaCap:
    """Stops a download without a declared length where its project's quota ends.

    The last word has the index, in the transaction that would make the image
    visible; this only spares the bytes.

    Args:
        quota_bytes: What the project may hold.
        used_bytes: What its images hold.
        coming: Tells what its earlier imports bring meanwhile; asked every `LOOK_BYTES`.

    Raises:
        QuotaExceeded: From `feed`, at the first byte past the quota.
    """

    LOOK_BYTES = 4_194_304

    def __init__(self, *, quota_bytes: int, used_bytes: int, coming: Callable[[], int] = lambda: 0) -> None:
        self._quota_bytes = quota_bytes
        self._used_bytes = used_bytes
        self._coming = coming
        self._coming_bytes = 0
        self._next_look = 0
        self._seen_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Count the chunk, and refuse it when it goes past the quota."""
        self._seen_bytes += len(chunk)
        if self._seen_bytes >= self._next_look:
            self._next_look = self._seen_bytes + self.LOOK_BYTES
            self._coming_bytes = self._coming()
        used = self._used_bytes + self._coming_bytes
        if used + self._seen_bytes > self._quota_bytes:
            raise QuotaExceeded(what="bytes", quota=self._quota_bytes, used=used)

    def finish(self) -> None:
        """Pass: a download may be smaller than what is left."""


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Say the quotas that hold where the operator gave a project no other."""
    return (
        Limit(
            name="project_max_images",
            type="integer",
            value=settings.quota.max_images,
            description="The most images of one project, unless the operator gave it another number.",
            guard="quota",
        ),
        Limit(
            name="project_max_bytes",
            type="integer",
            value=settings.quota.max_bytes,
            description="The most bytes that a project's images may hold together, each counted in full.",
            guard="quota",
        ),
        Limit(
            name="project_max_uploading",
            type="integer",
            value=settings.quota.max_uploading,
            description="The most images of one project that are written at the same time, waiting ones too.",
            guard="quota",
        ),
        Limit(
            name="project_max_staged_bytes",
            type="integer",
            value=settings.quota.max_staged_bytes,
            description="The most bytes that a project may have staged for glance-direct.",
            guard="quota",
        ),
        Limit(
            name="project_max_text_bytes",
            type="integer",
            value=settings.quota.max_text_bytes,
            description="The most bytes that the names, tags and properties of a project's images may have.",
            guard="quota",
        ),
        Limit(
            name="project_max_records",
            type="integer",
            value=settings.quota.max_records,
            description="Ended imports of one project on record; beyond it the oldest are forgotten.",
            guard="quota",
        ),
        Limit(
            name="project_max_record_bytes",
            type="integer",
            value=settings.quota.max_record_bytes,
            description="The most bytes of their text, likewise.",
            guard="quota",
        ),
    )


def build(context: GuardContext) -> Guard | None:
    """Return the guard for what the quota leaves; None where each import is held to it at its end."""
    room = context.headroom
    if room is None:
        return None
    return QuotaCap(quota_bytes=room.quota_bytes, used_bytes=room.used_bytes, coming=room.coming)


GUARD = GuardSpec(
    name="quota",
    title="Quotas",
    sections=("quota",),
    limits=limits,
    build=build,
    not_for={Purpose.PACKED: "What is in them is kept and counted, not they."},
)
