"""What is left of a project's quota while bytes come in."""

from collections.abc import Callable, Iterable
from datetime import datetime

from fetcher.config import Settings
from fetcher.guards.quota import QuotaCap
from fetcher.importer.live import Live
from fetcher.index import Index


def coming(lives: Iterable[Live], own: Iterable[Live]) -> int:
    """What a project's earlier imports that still run said they will bring, or brought so far, in bytes.

    Earlier ones only: else two that fit one at a time would refuse each other.

    Args:
        own: The imports of the one project that ask.
    """
    asking = sorted(own, key=_turn)
    if not asking:
        return 0
    first = asking[0]
    others = (live for live in lives if live.record.project_id == first.record.project_id)
    earlier = (live for live in others if _turn(live) < _turn(first))
    return sum(max(live.record.expected_bytes or 0, live.progress.received_bytes) for live in earlier)


def _turn(live: Live) -> tuple[datetime, str]:
    return live.record.created_at, live.record.id


async def quota_cap(index: Index, settings: Settings, project_id: str, others: Callable[[], int]) -> QuotaCap:
    """The guard that holds a body of unknown length to its project's quota."""
    _images, quota_bytes = settings.quota.of(project_id)
    usage = await index.usage.find(project_id)
    return QuotaCap(quota_bytes=quota_bytes, used_bytes=usage.bytes, coming=others)
