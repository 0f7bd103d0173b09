"""A curve as the numbers of an SVG path; the template draws it."""

from collections.abc import Sequence

import msgspec

from fetcher.api.submit.words import rate_words, time_words

WIDTH, HEIGHT = 600.0, 120.0
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """The values that the template draws.

    Args:
        line: The path of the curve.
        area: The same, closed at the bottom.
        scale: The marks of the axis of rates from the top down, in words; the last is zero.
        times: The marks of the axis of time from the left, in words.
        peak: The highest rate, in words.
        mean: The mean rate, in words.
        span: How much time it covers, in words.
    """

    line: str
    area: str
    scale: tuple[str, str, str]
    times: tuple[str, str, str]
    peak: str
    mean: str
    span: str


def draw(rates: Sequence[tuple[float, float]]) -> Chart | None:
    """Draw bytes per second over seconds; None when there is too little to draw."""
    if len(rates) < 2:
        return None
    first, last = rates[0][0], rates[-1][0]
    peak = max(rate for _, rate in rates)
    top = round_up(peak)
    wide = (last - first) or 1.0
    dots = [
        f"{(at - first) / wide * WIDTH:.1f},{HEIGHT - min(rate / top, 1.0) * HEIGHT:.1f}"
        for at, rate in rates
    ]
    line = "M" + " L".join(dots)
    mean = sum(rate for _, rate in rates) / len(rates)
    return Chart(
        line=line,
        area=f"{line} L{WIDTH:.1f},{HEIGHT:.1f} L0.0,{HEIGHT:.1f} Z",
        scale=(rate_words(top), rate_words(top / 2), "0"),
        times=("0 s", time_words((last - first) / 2), time_words(last - first)),
        peak=rate_words(peak),
        mean=rate_words(mean),
        span=time_words(last - first),
    )


def round_up(rate: float) -> float:
    """Return the end of a scale that holds a rate: 1, 2 or 5 times a power of ten, of a binary unit."""
    unit = 1.0
    while rate >= unit * 1000:
        unit *= 1024
    for step in STEPS:
        if rate <= step * unit:
            return step * unit
    return 1024 * unit
