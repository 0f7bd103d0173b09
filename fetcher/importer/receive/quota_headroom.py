"""The headroom of a project's quota while bytes come in."""

from collections.abc import Callable, Iterable
from datetime import datetime

from fetcher.config import Settings
from fetcher.guards import Headroom
from fetcher.importer.records.running_import import RunningImport
from fetcher.index.protocol import Index
from fetcher.model import Import


def coming(running_imports: Iterable[RunningImport], own: Iterable[RunningImport]) -> int:
    """Return the bytes that a project's earlier, still running imports will bring, or have brought so far.

    Earlier ones only: else two that fit one at a time would refuse each other.

    Args:
        own: The imports of the one project that ask.
    """
    first = min((running.record for running in own), key=_turn, default=None)
    if first is None:
        return 0
    turn, project_id, total = _turn(first), first.project_id, 0
    for running in running_imports:
        record = running.record
        if record.project_id == project_id and _turn(record) < turn:
            total += max(record.expected_bytes or 0, running.progress.received_bytes)
    return total


def _turn(record: Import) -> tuple[datetime, str]:
    return record.created_at, record.id


async def quota_headroom(
    index: Index,
    settings: Settings,
    project_id: str,
    others: Callable[[], int],
    used_bytes: int | None = None,
) -> Headroom:
    """Find what a project's quota leaves for a body.

    Args:
        used_bytes: What the project's images hold, where that has just been read.
    """
    _images, quota_bytes = settings.quota.of(project_id)
    if used_bytes is None:
        used_bytes = await index.usage.bytes_of(project_id)
    return Headroom(quota_bytes=quota_bytes, used_bytes=used_bytes, coming=others)
