"""The byte cap: what an infinite source ends at."""

from fetcher.config import Settings
from fetcher.errors import TooManyBytes
from fetcher.guards.base import Limit


class ByteCap:
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

    def finish(self) -> None:
        """Pass: a download may be smaller than its cap."""


def check_declared(declared_bytes: int | None, *, max_bytes: int) -> None:
    """Refuse a download that announces more than its cap, before its first byte.

    Raises:
        TooManyBytes: It announces more.
    """
    if declared_bytes is not None and declared_bytes > max_bytes:
        raise TooManyBytes(max_bytes=max_bytes, declared_bytes=declared_bytes)


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
    )
