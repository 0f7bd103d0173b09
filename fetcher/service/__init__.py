"""The service put together from its parts, and what an operator starts it with."""

from fetcher.service.command import main
from fetcher.service.service import Service
from fetcher.service.serving import inbound_server, serve

__all__ = ["Service", "inbound_server", "main", "serve"]
