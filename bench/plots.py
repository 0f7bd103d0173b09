"""Plots of a run as SVG, without a library: lines over a logarithmic axis."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 360, 64, 52, 40, 24
COLOURS = ("#1b6ca8", "#c0562b", "#4a7c3a")

Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What a plot shows.

    Args:
        lines: Points (x > 0) by what they are.
    """

    title: str
    across: str
    up: str
    lines: dict[str, Points]


def draw(results: Path, folder: Path) -> list[Path]:
    """Draw what the results have; the files that were written."""
    rows = json.loads(results.read_text())["rows"]
    values = {row["name"]: row["value"] for row in rows}
    plots = {
        "throughput.svg": Plot(
            title="Throughput of imports of 16 MiB from a fast origin",
            across="imports at once",
            up="MiB/s",
            lines={"imports": _points(values, r"throughput of (\d+) x 16 MiB")},
        ),
        "latency.svg": Plot(
            title="Latency over the size of the index, median",
            across="images in the index",
            up="ms",
            lines={
                "list of 100": _points(values, r"list of 100 of ([\d,]+) images"),
                "list of 100 from the middle": _points(
                    values, r"list of 100 from the middle of ([\d,]+) images"
                ),
                "one image": _points(values, r"one of ([\d,]+) images"),
            },
        ),
    }
    written = []
    for name, plot in plots.items():
        if any(len(points) > 1 for points in plot.lines.values()):
            (folder / name).write_text(_svg(plot))
            written.append(folder / name)
    return written


def _points(values: dict[str, float], pattern: str) -> Points:
    found = ((re.fullmatch(pattern, name), value) for name, value in values.items())
    return sorted((float(match[1].replace(",", "")), value) for match, value in found if match)


def _svg(plot: Plot) -> str:
    every = [point for points in plot.lines.values() for point in points]
    low, high = math.log10(min(x for x, _ in every)), math.log10(max(x for x, _ in every))
    most = _round_up(max(y for _, y in every))

    def at(x: float, y: float) -> tuple[float, float]:
        part = (math.log10(x) - low) / ((high - low) or 1)
        return LEFT + part * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / most * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f"<title>{plot.title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{plot.title}</text>',
    ]
    for step in range(5):
        value = most * step / 4
        _, y = at(10**low, value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for x in sorted({x for x, _ in every}):
        place, _ = at(x, 0)
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,.0f}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{plot.across}</text>')
    parts.append(f'<text x="{LEFT - 48}" y="{TOP - 4}">{plot.up}</text>')
    for number, (name, points) in enumerate(plot.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
            for x, y in (at(*p) for p in points)
        ]
        corner = f'x="{WIDTH - RIGHT}" y="{TOP + 14 + 16 * number}" text-anchor="end"'
        parts.append(f'<text {corner} fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten, so that quarters are round."""
    scale: float = 10 ** math.floor(math.log10(value))
    return next(step * scale for step in (1, 2, 4, 8, 10) if step * scale >= value)
