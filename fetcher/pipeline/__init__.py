"""The one loop every byte goes through: peer to guards to digests and disk."""

from fetcher.pipeline.pull import Peer, PeerClock, pull
from fetcher.pipeline.worker_pool import OrderedQueues, Work, WorkerPool

__all__ = ["OrderedQueues", "Peer", "PeerClock", "Work", "WorkerPool", "pull"]
