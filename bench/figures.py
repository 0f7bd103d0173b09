"""What a measurement is: samples of interleaved rounds, rows of a table, JSON."""

import json
import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One measurement of one contender.

    Args:
        seconds: Wall time.
        cpu_seconds: User and system time of all its processes.
        peak_bytes: The most memory that was resident at once.
    """

    seconds: float
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(kw_only=True)
class Row:
    """One line of the table.

    Args:
        name: What was measured.
        value: The median.
        unit: Of the value.
        low: The least of all rounds.
        high: The most of all rounds.
        versus: What it is compared with, and how.
        ratio: The median of the ratios of each round.
        ratio_low: The least of these.
        ratio_high: The most of these.
        target: What should be reached, in words; empty when nothing was set.
        met: Whether it was; None when nothing was set.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    versus: str = ""
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    target: str = ""
    met: bool | None = None


def row(name: str, values: Sequence[float], unit: str, *, most: float | None = None) -> Row:
    """Make a line of plain values; `most` is what the median may be at most."""
    value = statistics.median(values)
    line = Row(name=name, value=value, unit=unit, low=min(values), high=max(values))
    if most is not None:
        line.target, line.met = f"<= {most:g} {unit}", value <= most
    return line


def compare(
    line: Row, ratios: Sequence[float], versus: str, *, most: float | None = None, least: float | None = None
) -> Row:
    """Add to a line how it compares, round by round."""
    line.versus = versus
    line.ratio, line.ratio_low, line.ratio_high = statistics.median(ratios), min(ratios), max(ratios)
    if most is not None:
        line.target, line.met = f"<= {most:g} x", line.ratio <= most
    if least is not None:
        line.target, line.met = f">= {least:g} x", line.ratio >= least
    return line


class Rounds:
    """Samples of several contenders, measured in turn so that a noisy machine hits them alike."""

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = defaultdict(list)

    def add(self, name: str, sample: Sample) -> None:
        """Keep one sample of a contender."""
        self.samples[name].append(sample)

    def seconds(self, name: str) -> list[float]:
        """Wall times of a contender."""
        return [sample.seconds for sample in self.samples[name]]

    def cpu(self, name: str) -> list[float]:
        """CPU seconds of a contender."""
        return [sample.cpu_seconds for sample in self.samples[name]]

    def peaks_mib(self, name: str) -> list[float]:
        """Peak memory of a contender in MiB."""
        return [sample.peak_bytes / 2**20 for sample in self.samples[name]]

    def against(self, name: str, other: str, *, most: float | None = None) -> Row:
        """A line of the wall time of one contender as part of another's in the same round."""
        pairs = zip(self.seconds(name), self.seconds(other), strict=True)
        return compare(row(name, self.seconds(name), "s"), [a / b for a, b in pairs], other, most=most)


@dataclass
class Report:
    """All that a run found out."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def machine(self) -> dict[str, object]:
        """Where it was measured."""
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "load": round(os.getloadavg()[0], 2),
        }

    def write(self, path: Path) -> None:
        """Write everything as JSON; what other cases of an earlier run found stays."""
        kept: dict[tuple[str, str], object] = {}
        if path.exists():
            for old in json.loads(path.read_text())["rows"]:
                kept[old["name"], old["versus"]] = old
        for line in self.rows:
            kept[line.name, line.versus] = asdict(line) | {"machine": self.machine()}
        document = {"rows": list(kept.values()), "skipped": self.skipped}
        path.write_text(json.dumps(document, indent=1) + "\n")

    def table(self) -> str:
        """Print it for people."""
        head = ["what", "median", "low .. high", "ratio", "low .. high", "compared with", "target", ""]
        lines = [head, *(_cells(line) for line in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]
        text += [f"skipped: {reason}" for reason in self.skipped]
        return "\n".join(part.rstrip() for part in text)


def _cells(line: Row) -> list[str]:
    has_ratio = line.ratio is not None
    return [
        line.name,
        f"{line.value:.4g} {line.unit}",
        f"{line.low:.4g} .. {line.high:.4g}",
        f"{line.ratio:.3g}" if has_ratio else "",
        f"{line.ratio_low:.3g} .. {line.ratio_high:.3g}" if has_ratio else "",
        line.versus,
        line.target,
        "" if line.met is None else ("met" if line.met else "MISSED"),
    ]
