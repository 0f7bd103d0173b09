"""Statistics from rows, the same in every index."""

from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import urlsplit

from fetcher.index.rows import Row
from fetcher.index.values import OriginFigures

RECENT_IMPORTS = 2000
ENDINGS = "('activated', 'refused', 'failed', 'cancelled')"


def slowest(rows: Iterable[Row], limit: int) -> list[OriginFigures]:
    """Return how origins served imports, the slowest first."""
    counts: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for row in rows:
        parts = urlsplit(row["url"])
        figures = counts[f"{parts.scheme}://{parts.netloc}"]
        figures[0] += 1
        figures[1] += row["state"] == "failed"
        figures[2] += row["size"]
        figures[3] += max(row["seconds"], 0.001)
    found = [
        OriginFigures(
            origin=origin,
            imports=int(imports),
            failed=int(failed),
            bytes_per_second=size / seconds if size else None,
        )
        for origin, (imports, failed, size, seconds) in counts.items()
    ]
    return sorted(found, key=lambda figures: figures.bytes_per_second or 0.0)[:limit]
