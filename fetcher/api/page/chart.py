"""A curve as the numbers of an SVG path; the template draws it."""

from collections.abc import Sequence

import msgspec

from fetcher.api.submit.words import rate_words, time_words

WIDTH, HEIGHT = 600.0, 120.0


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """What the template needs.

    Args:
        line: The path of the curve.
        area: The same, closed at the bottom.
        peak: The highest rate, in words.
        mean: The mean rate, in words.
        span: How much time it covers, in words.
    """

    line: str
    area: str
    peak: str
    mean: str
    span: str


def draw(rates: Sequence[tuple[float, float]]) -> Chart | None:
    """Draw bytes per second over seconds; None when there is too little to draw."""
    if len(rates) < 2:
        return None
    first, last = rates[0][0], rates[-1][0]
    peak = max(rate for _, rate in rates) or 1.0
    wide = (last - first) or 1.0
    dots = [
        f"{(at - first) / wide * WIDTH:.1f},{HEIGHT - rate / peak * (HEIGHT - 4):.1f}" for at, rate in rates
    ]
    line = "M" + " L".join(dots)
    mean = sum(rate for _, rate in rates) / len(rates)
    return Chart(
        line=line,
        area=f"{line} L{WIDTH:.1f},{HEIGHT:.1f} L0.0,{HEIGHT:.1f} Z",
        peak=rate_words(peak),
        mean=rate_words(mean),
        span=time_words(last - first),
    )
