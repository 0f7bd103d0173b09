"""Heads that two readers could read in two ways: whom a request is for, and where it ends."""

from collections.abc import Sequence

import httptools

from fetcher.errors import Failure, InvalidRequest

Fields = Sequence[tuple[bytes, bytes]]
VERSIONS = ("1.0", "1.1")


def ambiguity_of(target: bytes, fields: Fields, version: str) -> Failure | None:
    """Return what keeps a head from having one meaning; None where it has one.

    A target with a host of its own has to name that of the Host field, which
    is what all else looks at. A body is chunked or has a length: other transfer
    codings are not undone here, so that its bytes would be kept as what they
    are not. Other versions of HTTP have other framings.

    Source: RFC 9112 sections 2.3, 3.2.2, 3.3, 6.1.
    """
    if version not in VERSIONS:
        return InvalidRequest(reason="the version of HTTP is neither 1.1 nor 1.0")
    try:
        parsed = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return InvalidRequest(reason="the target is no path")
    if not parsed.path:
        return InvalidRequest(reason="the target has no path")
    if parsed.schema and not _is_of_host(target, fields):
        return InvalidRequest(field="Host", reason="the target names another host than the Host header")
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings and (version == "1.0" or [coding.strip().lower() for coding in codings] != [b"chunked"]):
        return InvalidRequest(field="Transfer-Encoding", reason="the one transfer coding taken is chunked")
    return None


def _is_of_host(target: bytes, fields: Fields) -> bool:
    scheme, _, rest = target.partition(b"://")
    authority = rest.partition(b"/")[0].partition(b"?")[0]
    hosts = [value for name, value in fields if name == b"host"]
    return scheme.lower() in {b"http", b"https"} and hosts == [authority]
