"""Submissions a minute: at the limit passes, one past it is told when, a minute later all is forgotten."""

import pytest

from fetcher.config import load_settings
from fetcher.errors import QueueFull
from fetcher.importer.schedule.rate_limiter import RateLimiter
from fetcher.settings.imports import Imports


def caps(project: int = 100, origin: int = 100, in_all: int = 100) -> Imports:
    limits = {
        "max_submits_per_minute": project,
        "max_submits_per_minute_per_origin": origin,
        "max_submits_per_minute_in_all": in_all,
    }
    return load_settings(changes={"imports": limits}).imports


LIMITS = {
    "project": (caps(project=2), [("a", "x"), ("a", "y"), ("a", "z")], ("b", "x")),
    "origin": (caps(origin=2), [("a", "x"), ("b", "x"), ("c", "x")], ("c", "y")),
    "service": (caps(in_all=2), [("a", "x"), ("b", "y"), ("c", "z")], None),
}


@pytest.mark.parametrize("name", LIMITS)
def test_s08_each_limit_holds_for_a_minute(name: str) -> None:
    """The refused submission counts for nothing; the same one passes when the first is a minute old."""
    limits, (first, second, third), other = LIMITS[name]
    now = [0.0]
    submits = RateLimiter(lambda: now[0])
    submits.count(*first, limits)
    now[0] = 10.0
    submits.count(*second, limits)
    for _ in range(3):
        with pytest.raises(QueueFull, match=name) as caught:
            submits.count(*third, limits)
        assert caught.value.retry_after_seconds == 50.0
    if other is not None:
        submits.count(*other, limits)
    now[0] = 60.0
    submits.count(*third, limits)


def test_who_was_quiet_for_a_minute_is_forgotten() -> None:
    """A thousand projects and origins leave nothing behind."""
    now = [0.0]
    submits = RateLimiter(lambda: now[0])
    limits = caps(in_all=2000)
    for number in range(1000):
        submits.count(f"p{number}", f"o{number}", limits)
    assert len(submits) == 2001
    now[0] = 60.0
    submits.count("p", "o", limits)
    assert len(submits) == 3
