"""A project's quota: what all its images together may hold."""

from collections.abc import Callable

from fetcher.config import Settings
from fetcher.errors import QuotaExceeded
from fetcher.guards.base import EachChunk, Guard, Limit, limits_of
from fetcher.guards.spec import GuardContext, GuardSpec, Purpose


class QuotaCap(EachChunk):
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


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Say the quotas that hold where the operator gave a project no other."""
    return limits_of(
        "quota",
        (
            "project_max_images",
            "integer",
            settings.quota.max_images,
            "The most images of one project, unless the operator gave it another number.",
        ),
        (
            "project_max_bytes",
            "integer",
            settings.quota.max_bytes,
            "The most bytes that a project's images may hold together, each counted in full.",
        ),
        (
            "project_max_uploading",
            "integer",
            settings.quota.max_uploading,
            "The most images of one project that are written at the same time, waiting ones too.",
        ),
        (
            "project_max_staged_bytes",
            "integer",
            settings.quota.max_staged_bytes,
            "The most bytes that a project may have staged for glance-direct.",
        ),
        (
            "project_max_text_bytes",
            "integer",
            settings.quota.max_text_bytes,
            "The most bytes that the names, tags and properties of a project's images may have.",
        ),
        (
            "project_max_records",
            "integer",
            settings.quota.max_records,
            "Ended imports of one project on record, and ended exports; beyond it the oldest are forgotten.",
        ),
        (
            "project_max_record_bytes",
            "integer",
            settings.quota.max_record_bytes,
            "The most bytes of their text, likewise.",
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
    acts=lambda context: context.headroom is not None,
    not_for={Purpose.PACKED: "What is in them is kept and counted, not they."},
)
