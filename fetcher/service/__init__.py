"""The service put together from its parts."""

from fetcher.service.service import Service
from fetcher.service.serving import inbound_server, serve

__all__ = ["Service", "inbound_server", "serve"]
