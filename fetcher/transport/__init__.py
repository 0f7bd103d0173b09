"""The one gate to the network; the one room that knows aiohttp."""

from fetcher.guards.request.request_headers import check_request_headers
from fetcher.transport.gate import Gate, no_hops
from fetcher.transport.peek import Peek, peek
from fetcher.transport.request import Outgoing, SourceRequest, is_strong
from fetcher.transport.source import Source
from fetcher.transport.sums import Listed, Sums, SumsRequest, fetch_listed, fetch_small, fetch_sums
from fetcher.transport.tls import authority_digests, check_authorities, system_authorities

__all__ = [
    "Gate",
    "Listed",
    "Outgoing",
    "Peek",
    "Source",
    "SourceRequest",
    "Sums",
    "SumsRequest",
    "authority_digests",
    "check_authorities",
    "check_request_headers",
    "fetch_listed",
    "fetch_small",
    "fetch_sums",
    "is_strong",
    "no_hops",
    "peek",
    "system_authorities",
]
