"""Statistics from rows, the same in every index."""

from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import urlsplit

from fetcher.index.rows import Row
from fetcher.index.values import OriginStatistics

RECENT_IMPORTS = 2000
ENDINGS = "('activated', 'refused', 'failed', 'cancelled')"


def slowest(rows: Iterable[Row], limit: int) -> list[OriginStatistics]:
    """Return how origins served imports, the slowest first."""
    counts: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for row in rows:
        parts = urlsplit(row["url"])
        totals = counts[f"{parts.scheme}://{parts.netloc}"]
        totals[0] += 1
        totals[1] += row["state"] == "failed"
        totals[2] += row["size"]
        totals[3] += max(row["seconds"], 0.001)
    found = [
        OriginStatistics(
            origin=origin,
            imports=int(imports),
            failed=int(failed),
            bytes_per_second=size / seconds if size else None,
        )
        for origin, (imports, failed, size, seconds) in counts.items()
    ]
    return sorted(found, key=lambda totals: totals.bytes_per_second or 0.0)[:limit]
