"""How many connections a source is offered, by what each of them brought."""

import pytest

from fetcher.config import load_settings
from fetcher.errors import BadResponse, ConnectFailed, Failure, SourceStatus
from fetcher.importer.download.offer import Offer

RULES = load_settings().ranges
MIB = 1_048_576


class Clock:
    """A clock that a test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def grown(*rates: int) -> Offer:
    """Offer connections to a source of so many MiB/s with one, two, three ... of them."""
    clock, total = Clock(), 0
    offer = Offer(RULES, clock)
    offer.begin(rates[0] * MIB)
    for count, rate in enumerate(rates[1:], start=2):
        offer.mark(count, total)
        clock.now += 20
        total += rate * 20 * MIB
        offer.measure(total)
    return offer


@pytest.mark.parametrize(
    ("rates", "limit"),
    [
        ((5,), 2),
        ((5, 10), 3),
        ((5, 10, 15), 4),
        ((5, 10, 15, 20), 4),
        ((5, 5), 1),
        ((5, 6), 1),
        ((5, 10, 10), 2),
        ((40, 80), 2),
    ],
)
def test_each_connection_has_to_bring_more(rates: tuple[int, ...], limit: int) -> None:
    """One more where the latest brought its share; the latest goes where it did not; enough is enough."""
    assert grown(*rates).limit == limit


@pytest.mark.parametrize(
    ("failure", "count", "limit", "is_withdrawn"),
    [
        (SourceStatus(status=403), 1, 1, True),
        (SourceStatus(status=403), 2, 2, True),
        (SourceStatus(status=429), 2, 2, True),
        (SourceStatus(status=503), 1, 1, True),
        (SourceStatus(status=503), 2, 2, False),
        (SourceStatus(status=503, retry_after_seconds=9.0), 2, 2, True),
        (ConnectFailed(host="a", port=1, reason="refused"), 2, 2, False),
        (BadResponse(reason="other"), 2, 2, True),
    ],
)
def test_a_refusal_withdraws_the_offer(failure: Failure, count: int, limit: int, is_withdrawn: bool) -> None:
    """Only a source that is busy with so many connections keeps those that it has."""
    offer = grown(5, 10)
    offer.refused(failure, count)
    assert (offer.limit, offer.is_withdrawn) == (limit, is_withdrawn)
    assert offer.may_ask(0) is not is_withdrawn
    assert offer.quiet_seconds() == (getattr(failure, "retry_after_seconds", None) or 0.0)


def test_a_second_refusal_is_the_last() -> None:
    """A place that was given up and is not given again is no matter of places."""
    offer = grown(5, 10)
    offer.refused(SourceStatus(status=503), 2)
    offer.refused(SourceStatus(status=503), 2)
    assert offer.is_withdrawn
