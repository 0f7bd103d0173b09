"""The decision on another attempt: whether it may end better, of which source, and when."""

import random
from collections.abc import Sequence

from fetcher.errors import (
    BadRedirect,
    BadResponse,
    BucketRefused,
    ChecksumFileUnusable,
    ChecksumMismatch,
    DiskUnclear,
    EmptySource,
    EncodingForbidden,
    Failure,
    FormatAmbiguous,
    FormatMismatch,
    FormatUnknown,
    FormatUnsafe,
    Http2Only,
    Rejection,
    SourceFailure,
    SourceStatus,
    TargetUnavailable,
    TlsFailed,
    TooManyBytes,
    UnpackFailed,
    VirtualSizeExceeded,
)
from fetcher.guards.network.redirects import REDIRECTS
from fetcher.importer.download.sources import Sources
from fetcher.model import Hop
from fetcher.settings.imports import Retry

# What the bytes are refused for: where they came in parts, the parts may be of different versions.
OF_THE_BYTES = (
    *(ChecksumMismatch, FormatAmbiguous, FormatMismatch, FormatUnknown, FormatUnsafe, BadResponse),
    *(UnpackFailed, DiskUnclear),
)
# What no other source of the same bytes could change.
FINAL = (TooManyBytes, VirtualSizeExceeded)
# What may be true of one mirror only, where a redirector chose it.
OF_A_MIRROR = (
    *OF_THE_BYTES,
    BadRedirect,
    ChecksumFileUnusable,
    EmptySource,
    EncodingForbidden,
    Http2Only,
    SourceStatus,
    TlsFailed,
)


ASKS_TO_WAIT = (SourceStatus, TargetUnavailable, BucketRefused)


def may_ask_elsewhere(failure: Failure, hops: Sequence[Hop]) -> bool:
    """Return whether a host reached by redirect failed: the submitted URL may lead to another."""
    is_led = len(hops) > 1 and hops[-2].status in REDIRECTS
    return is_led and isinstance(failure, OF_A_MIRROR)


def wait_seconds(failure: Failure, number: int, retry: Retry) -> float:
    """Return the wait after a failure: doubled each time, with jitter, or longer if the source asks."""
    backoff: float = min(retry.first_wait_seconds * 2 ** min(number - 1, 30), retry.max_wait_seconds)
    wait = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
    asked = failure.retry_after_seconds if isinstance(failure, ASKS_TO_WAIT) else None
    return wait if asked is None else max(wait, min(asked, retry.max_retry_after_seconds))


class RetryPolicy:
    """Counts failures of one pull and decides what follows each.

    Args:
        consecutive_failures: Attempts in a row that brought nothing to go on from, of an earlier process.
    """

    def __init__(self, sources: Sources, retry: Retry, *, consecutive_failures: int = 0) -> None:
        self.consecutive_failures = consecutive_failures
        self._sources = sources
        self._retry = retry
        self._has_begun_anew = False

    def next(
        self, failure: Failure, number: int, *, is_gain: bool, is_pieced: bool, hops: Sequence[Hop] = ()
    ) -> float | None:
        """Decide what follows a failure; the source to ask next is then the present one of the sources.

        Args:
            number: Of attempts so far.
            is_gain: The attempt brought bytes that the next one can go on from.
            is_pieced: The bytes came from several answers.
            hops: Of the attempt, as far as it came.

        Returns:
            How many seconds to wait for the next attempt; None when there is none.
        """
        self.consecutive_failures = 0 if is_gain else self.consecutive_failures + 1
        if number >= self._retry.max_attempts:
            return None
        if self.may_begin_anew(failure, is_pieced=is_pieced):
            self._has_begun_anew = True
            return 0.0
        if self.consecutive_failures >= self._retry.attempts * len(self._sources):
            return None
        if is_gain:
            self._sources.renew()
        return self._next_source(
            failure, is_worth_it=failure.public().is_retryable() or may_ask_elsewhere(failure, hops)
        )

    def may_begin_anew(self, failure: Failure, *, is_pieced: bool) -> bool:
        """Return whether all parts are to be pulled once more, from the first byte."""
        return is_pieced and isinstance(failure, OF_THE_BYTES) and not self._has_begun_anew

    def may_ask_another(self) -> bool:
        """Return whether there is a source beside the present one."""
        return len(self._sources) > 1

    def may_ask_once_more(self, number: int) -> bool:
        """Return whether there would be an attempt after one that brings nothing to go on from."""
        return (
            number < self._retry.max_attempts
            and self.consecutive_failures + 1 < self._retry.attempts * len(self._sources)
        )

    def _next_source(self, failure: Failure, *, is_worth_it: bool) -> float | None:
        self._sources.fail()
        if not is_worth_it:
            if isinstance(failure, FINAL) or not isinstance(failure, SourceFailure | Rejection):
                return None
            self._sources.exclude()
        if not len(self._sources):
            return None
        if self._sources.turn() and (not is_worth_it or len(self._sources) > 1):
            return 0.0
        return wait_seconds(failure, max(1, self.consecutive_failures), self._retry)
