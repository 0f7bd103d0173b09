"""Which failures are worth another attempt, of which source, and when."""

from typing import Any

import msgspec
import pytest

from fetcher.config import load_settings
from fetcher.errors import (
    AddressForbidden,
    BadResponse,
    ChecksumMismatch,
    ConnectFailed,
    Failure,
    FormatMismatch,
    SourceStatus,
    StoreFull,
    TooManyBytes,
    Truncated,
)
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.download.retry_policy import RetryPolicy, wait_seconds
from fetcher.importer.download.sources import Sources
from fetcher.index.values import Secrets
from fetcher.settings.imports import Retry

URLS = ("https://a.example/x", "https://b.example/x", "https://c.example/x")
MISMATCH = ChecksumMismatch(algorithm="sha256", expected="0", actual="1")
CUT = Truncated(received_bytes=1)


def rules(**changes: Any) -> Retry:
    return msgspec.structs.replace(load_settings().retry, **changes)


def sources(count: int = 1) -> Sources:
    return Sources(Secrets(url=URLS[0], mirrors=URLS[1:count]), CheckedUrls(load_settings()), "p")


def outcomes(failures: list[Failure], urls: int = 1, **changes: Any) -> list[tuple[bool, int]]:
    """Whether another attempt follows each failure, and which source it asks."""
    found = sources(urls)
    retrying = RetryPolicy(found, rules(**changes))
    steps = []
    for number, failure in enumerate(failures, 1):
        wait = retrying.next(failure, number, is_gain=False, is_pieced=False)
        steps.append((wait is not None, found.current))
    return steps


@pytest.mark.parametrize(
    "failure",
    [
        SourceStatus(status=404),
        SourceStatus(status=401),
        BadResponse(reason="x"),
        TooManyBytes(max_bytes=1),
        MISMATCH,
        FormatMismatch(claimed="raw", found="x"),
        StoreFull(),
    ],
)
def test_refusals_are_final(failure: Failure) -> None:
    """What another attempt cannot change ends the pull at once."""
    assert outcomes([failure]) == [(False, 0)]


def test_attempts_are_bounded() -> None:
    """At the limit is the last; bytes to go on from make it a new start, up to a limit in all."""
    assert [more for more, _ in outcomes([CUT] * 3, attempts=3)] == [True, True, False]
    retrying = RetryPolicy(sources(), rules(attempts=2, max_attempts=5))
    steps = [retrying.next(CUT, number, is_gain=True, is_pieced=False) for number in range(1, 6)]
    assert [step is not None for step in steps] == [True, True, True, True, False]


def test_forbidden_and_unreachable_follow_one_schedule() -> None:
    """How often we try must not tell whether an address is inside our network."""
    forbidden = AddressForbidden(host="h", address="10.0.0.1", port=80, reason="x")
    dead = ConnectFailed(host="h", port=80, reason="x")
    assert outcomes([forbidden] * 4, 2) == outcomes([dead] * 4, 2)


def test_mirrors_are_asked_in_turn_and_dead_ones_never_again() -> None:
    """A mirror takes over at once; one that can never help is left out from then on."""
    missing = SourceStatus(status=404)
    assert outcomes([CUT, missing, CUT, CUT], 3, attempts=9) == [(True, 1), (True, 2), (True, 0), (True, 2)]
    assert outcomes([missing] * 3, 3) == [(True, 1), (True, 2), (False, 2)]


def test_parts_that_do_not_fit_are_pulled_once_more() -> None:
    """Once from the first byte; a second time it is the source's fault."""
    retrying = RetryPolicy(sources(), rules())
    assert retrying.next(MISMATCH, 1, is_gain=False, is_pieced=True) == 0.0
    assert retrying.next(MISMATCH, 2, is_gain=False, is_pieced=True) is None


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(None, 0.5, 1), (0.0, 0.5, 1), (30.0, 30, 30), (1e9, 60, 60)]
)
def test_retry_after_is_honoured_within_limits(asked: float | None, least: float, most: float) -> None:
    """A source may ask for more time than we would take, never for ever, and never be hammered."""
    failure = SourceStatus(status=503, retry_after_seconds=asked)
    retry = rules(first_wait_seconds=1.0, max_wait_seconds=8.0, max_retry_after_seconds=60.0)
    assert least <= wait_seconds(failure, 1, retry) <= most


def test_waits_double_up_to_a_limit() -> None:
    """With jitter, so that many imports do not come back at the same moment."""
    retry = rules(first_wait_seconds=1.0, max_wait_seconds=8.0)
    for number, whole in ((1, 1), (2, 2), (3, 4), (4, 8), (9, 8), (10_000, 8)):
        waits = {wait_seconds(CUT, number, retry) for _ in range(20)}
        assert all(whole / 2 <= wait <= whole for wait in waits)
        assert len(waits) > 1
