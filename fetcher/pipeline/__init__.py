"""The one loop every byte goes through: peer to guards to digests and disk."""

from fetcher.pipeline.lanes import Lanes, Work, Workshop
from fetcher.pipeline.pull import Peer, PeerClock, pull

__all__ = ["Lanes", "Peer", "PeerClock", "Work", "Workshop", "pull"]
