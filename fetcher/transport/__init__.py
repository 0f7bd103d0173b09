"""The one gate to the network; the one room that knows aiohttp."""

from fetcher.guards.request.request_headers import check_request_headers
from fetcher.transport.gate import Gate
from fetcher.transport.peek import Peek, peek
from fetcher.transport.request import SourceRequest, is_strong
from fetcher.transport.source import Source
from fetcher.transport.sums import Listed, Sums, SumsRequest, fetch_listed, fetch_small, fetch_sums
from fetcher.transport.tls import read_authorities, system_authorities

__all__ = [
    "Gate",
    "Listed",
    "Peek",
    "Source",
    "SourceRequest",
    "Sums",
    "SumsRequest",
    "check_request_headers",
    "fetch_listed",
    "fetch_small",
    "fetch_sums",
    "is_strong",
    "peek",
    "read_authorities",
    "system_authorities",
]
