"""The one gate to the network; the one room that knows aiohttp."""

from fetcher.guards.request.request_headers import check_request_headers
from fetcher.transport.dialect import Answer, Dialect
from fetcher.transport.dialling.client_certificate import client_certificate, fingerprint
from fetcher.transport.dialling.tls import authority_digests, check_authorities, system_authorities
from fetcher.transport.exchange import CallAnswer
from fetcher.transport.gate import Gate, no_hops
from fetcher.transport.peek import Peek, peek
from fetcher.transport.request import Outgoing, SourceRequest, is_strong
from fetcher.transport.signed.bucket_signature import sign
from fetcher.transport.signed.sums import Listed, Sums, SumsRequest, fetch_listed, fetch_small, fetch_sums
from fetcher.transport.source import Source, make_printable

__all__ = [
    "Answer",
    "CallAnswer",
    "Dialect",
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
    "client_certificate",
    "fetch_listed",
    "fetch_small",
    "fetch_sums",
    "fingerprint",
    "is_strong",
    "make_printable",
    "no_hops",
    "peek",
    "sign",
    "system_authorities",
]
