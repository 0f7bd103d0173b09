"""The byte cap: what an infinite source ends at."""

from fetcher.config import Settings
from fetcher.errors import LengthUnknown, TooManyBytes
from fetcher.guards.base import EachChunk, Limit
from fetcher.guards.spec import GuardSpec, Purpose


class ByteCap(EachChunk):
    """Stops a download at its first byte past the cap.

    Counts what arrives, so a false or missing Content-Length changes nothing.

    Args:
        max_bytes: The most a download may hold; exactly this many pass.

    Raises:
        TooManyBytes: From `feed`, before the chunk is stored.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._seen_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Count the chunk, and refuse it when it goes past the cap."""
        self._seen_bytes += len(chunk)
        if self._seen_bytes > self._max_bytes:
            raise TooManyBytes(max_bytes=self._max_bytes)


def check_declared(declared_bytes: int | None, *, max_bytes: int) -> None:
    """Refuse a download that announces more than its cap, before its first byte.

    Raises:
        TooManyBytes: It announces more.
    """
    if declared_bytes is not None and declared_bytes > max_bytes:
        raise TooManyBytes(max_bytes=max_bytes, declared_bytes=declared_bytes)


def check_length(*, is_verified: bool, is_proven: bool, settings: Settings) -> None:
    """Refuse a body that could be cut short without anybody noticing, where the operator wants that.

    Args:
        is_verified: The source says where its body ends: a length, or chunks with an end.
        is_proven: A digest of the whole was promised, by the submitter or by the source.

    Raises:
        LengthUnknown: Neither is so.

    Source: RFC 9112 section 6.3, rule 8.
    """
    if settings.size.require_length and not is_verified and not is_proven:
        raise LengthUnknown


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Say the cap."""
    return (
        Limit(
            name="max_bytes",
            type="integer",
            value=settings.size.max_bytes,
            description="The most bytes that an image may hold as received; a submission may only lower it.",
            guard="size",
        ),
        Limit(
            name="require_length",
            type="boolean",
            value=settings.size.require_length,
            description="Whether a source has to say where its body ends, unless a digest was promised.",
            guard="size",
        ),
    )


GUARD = GuardSpec(
    name="size",
    title="Size",
    sections=("size",),
    limits=limits,
    build=lambda context: ByteCap(max_bytes=context.submission.max_bytes),
    not_for={Purpose.CONVERT: "Nothing is received; max_virtual_bytes bounds the disk."},
    checks=(check_declared, check_length),
)
