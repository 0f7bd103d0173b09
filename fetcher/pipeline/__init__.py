"""The one loop every byte goes through: peer to guards to digests and disk."""

from fetcher.pipeline.pull import GuardTimes, Handover, Judges, Peer, PeerClock, Watched, pull
from fetcher.pipeline.worker_pool import TURN_BYTES, OrderedQueues, Work, WorkerPool

__all__ = [
    "TURN_BYTES",
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
