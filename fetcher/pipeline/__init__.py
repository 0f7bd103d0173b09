"""The one loop every byte goes through: peer to guards to digests and disk."""

from fetcher.pipeline.pull import GuardTimes, Handover, Judges, Peer, PeerClock, Watched, pull
from fetcher.pipeline.worker_pool import OrderedQueues, Work, WorkerPool

__all__ = [
    "GuardTimes",
    "Handover",
    "Judges",
    "OrderedQueues",
    "Peer",
    "PeerClock",
    "Watched",
    "Work",
    "WorkerPool",
    "pull",
]
