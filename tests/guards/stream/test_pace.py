"""The rate floor, with a clock that the test turns."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.config import Settings, load_settings
from fetcher.errors import SourceTooSlow
from fetcher.guards.stream.pace import RateFloor, limits


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def with_floor(bytes_per_second: int = 100, window: float = 10.0, grace: float = 5.0) -> Settings:
    """Choose a floor that a test can reckon with."""
    return load_settings(
        changes={
            "pace": {
                "floor_bytes_per_second": bytes_per_second,
                "floor_window_seconds": window,
                "floor_grace_seconds": grace,
            }
        }
    )


def run(clock: Clock, floor: RateFloor, chunks: list[tuple[float, int]]) -> float | None:
    """Feed chunks, each after a pause; tell when the floor ended it."""
    for pause, size in chunks:
        clock.now += pause
        try:
            floor.feed(bytes(size))
        except SourceTooSlow:
            return clock.now - 1000.0
    floor.finish()
    return None


def test_t01_steady_source_at_the_floor_passes() -> None:
    """At the limit passes, for as long as it takes."""
    clock = Clock()
    assert run(clock, RateFloor(with_floor(), clock), [(1.0, 100)] * 500) is None


def test_t04_steady_source_below_the_floor_is_given_up() -> None:
    """One per cent below the floor ends, once a whole window after the grace has been seen."""
    clock = Clock()
    ended = run(clock, RateFloor(with_floor(), clock), [(1.0, 98)] * 500)
    assert ended is not None
    assert 15.0 <= ended <= 17.0


def test_t04_drip_of_single_bytes_is_given_up() -> None:
    """One byte each half second never is silence, and still ends."""
    clock = Clock()
    ended = run(clock, RateFloor(with_floor(), clock), [(0.5, 1)] * 500)
    assert ended == pytest.approx(15.0)


def test_slow_start_is_forgiven() -> None:
    """Nothing at all within the grace does no harm, if a whole window of speed follows."""
    clock = Clock()
    assert run(clock, RateFloor(with_floor(), clock), [(5.0, 1), *[(0.1, 11)] * 300]) is None


def test_early_haste_pays_no_later_sloth() -> None:
    """Bytes older than the window count no more: a fast first gigabyte buys no years of drip."""
    clock = Clock()
    ended = run(clock, RateFloor(with_floor(), clock), [(0.1, 10_000_000), *[(1.0, 1)] * 100])
    assert ended is not None
    assert ended < 17.0


def test_bursts_pass_if_their_average_does() -> None:
    """A source that sends a lot now and then is as good as a steady one."""
    clock = Clock()
    assert run(clock, RateFloor(with_floor(), clock), [(4.0, 600)] * 50) is None


def test_our_own_disk_is_not_blamed_on_the_source() -> None:
    """While the clock stands, no window passes, however long we take."""
    clock = Clock()
    assert run(clock, RateFloor(with_floor(), clock), [(0.0, 1)] * 10_000) is None


def test_floor_of_zero_never_ends_anything() -> None:
    """An operator may switch the floor off."""
    clock = Clock()
    assert run(clock, RateFloor(with_floor(bytes_per_second=0), clock), [(100.0, 1)] * 100) is None


def test_small_sources_need_no_rate() -> None:
    """Whoever is done within grace and window was fast enough."""
    clock = Clock()
    assert run(clock, RateFloor(with_floor(), clock), [(14.9, 1)]) is None


@given(
    arrivals=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 2000)), max_size=40),
    cuts=st.lists(st.integers(1, 1999), max_size=4),
)
def test_chunking_is_ignored(arrivals: list[tuple[float, int]], cuts: list[int]) -> None:
    """Bytes that come at one moment are judged alike, in one chunk or in several."""

    def split(size: int) -> list[int]:
        edges = sorted({0, size, *(cut for cut in cuts if cut < size)})
        return [later - earlier for earlier, later in pairwise(edges)]

    whole, cut = Clock(), Clock()
    pieces = [
        (pause if first == 0 else 0.0, piece)
        for pause, size in arrivals
        for first, piece in enumerate(split(size))
    ]
    assert run(whole, RateFloor(with_floor(), whole), arrivals) == run(
        cut, RateFloor(with_floor(), cut), pieces
    )


@given(arrivals=st.lists(st.tuples(st.floats(0.001, 3), st.integers(1, 400)), min_size=20, max_size=120))
def test_verdict_is_that_of_exact_arithmetic(arrivals: list[tuple[float, int]]) -> None:
    """Whoever is ended was below the floor; whoever was clearly below it is ended."""
    clock = Clock()
    ended = run(clock, RateFloor(with_floor(), clock), arrivals)
    now, seen, worst_kept = 0.0, [], float("inf")
    for pause, size in arrivals:
        now += pause
        window = sum(size for at, size in seen if at >= now - 10.0)
        if ended is not None and now >= ended - 1e-6:
            assert window < 1000
            return
        if now >= 15.0:
            # A slice of one part in 256 of the window may count too long.
            worst_kept = min(worst_kept, sum(size for at, size in seen if at >= now - 10.0 - 2 * 10.0 / 256))
        seen.append((now, size))
    assert worst_kept >= 1000


def test_memory_does_not_grow_with_the_number_of_chunks() -> None:
    """A million tiny chunks are held as a few hundred slices."""
    clock = Clock()
    floor = RateFloor(with_floor(bytes_per_second=0), clock)
    for _ in range(20_000):
        clock.now += 0.001
        floor.feed(b"x")
    assert len(floor._arrivals) < 300


def test_error_tells_the_limit() -> None:
    """The submitter learns which floor the source fell below."""
    clock = Clock()
    floor = RateFloor(with_floor(), clock)
    clock.now += 100.0
    with pytest.raises(SourceTooSlow) as caught:
        floor.feed(b"x")
    assert (caught.value.limit_bytes_per_second, caught.value.limit_seconds) == (100, 10.0)


def test_limits_are_published() -> None:
    """What is enforced is what is told."""
    told = {limit.name: limit.value for limit in limits(with_floor())}
    assert told["floor_bytes_per_second"] == 100
    assert told["idle_seconds"] == 120.0
    assert all(name.endswith(("_seconds", "_per_second")) for name in told)
