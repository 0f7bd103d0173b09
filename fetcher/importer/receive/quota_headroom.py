"""What is left of a project's quota while bytes come in."""

from collections.abc import Callable, Iterable
from datetime import datetime

from fetcher.config import Settings
from fetcher.guards import Headroom
from fetcher.importer.records.running_import import RunningImport
from fetcher.index.protocol import Index


def coming(running_imports: Iterable[RunningImport], own: Iterable[RunningImport]) -> int:
    """Return the bytes that a project's earlier, still running imports will bring, or have brought so far.

    Earlier ones only: else two that fit one at a time would refuse each other.

    Args:
        own: The imports of the one project that ask.
    """
    asking = sorted(own, key=_turn)
    if not asking:
        return 0
    first = asking[0]
    others = (running for running in running_imports if running.record.project_id == first.record.project_id)
    earlier = (running for running in others if _turn(running) < _turn(first))
    return sum(
        max(running.record.expected_bytes or 0, running.progress.received_bytes) for running in earlier
    )


def _turn(running: RunningImport) -> tuple[datetime, str]:
    return running.record.created_at, running.record.id


async def quota_headroom(
    index: Index, settings: Settings, project_id: str, others: Callable[[], int]
) -> Headroom:
    """Find what a project's quota leaves for a body."""
    _images, quota_bytes = settings.quota.of(project_id)
    usage = await index.usage.find(project_id)
    return Headroom(quota_bytes=quota_bytes, used_bytes=usage.bytes, coming=others)
