"""The way in: connections of clients, their deadlines and their number."""

from fetcher.api.inbound.budget import places
from fetcher.api.inbound.door import HandOver
from fetcher.api.inbound.server import InboundServer

__all__ = ["HandOver", "InboundServer", "places"]
