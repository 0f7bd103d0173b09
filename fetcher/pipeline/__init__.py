"""The one loop every byte goes through: peer to guards to digests and disk."""

from fetcher.pipeline.pull import Handover, Judges, Peer, PeerClock, pull
from fetcher.pipeline.worker_pool import OrderedQueues, Work, WorkerPool

__all__ = ["Handover", "Judges", "OrderedQueues", "Peer", "PeerClock", "Work", "WorkerPool", "pull"]
