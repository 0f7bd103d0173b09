"""Request headers that a submitter may send to their source."""

import re
from collections.abc import Mapping

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission

MAX_HEADERS = 32
MAX_HEADER_BYTES = 8192
# Ours to set: framing, ranges, codings, the connection.
RESERVED = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-range"}
    | {"content-type", "date", "expect", "forwarded", "host", "http2-settings", "if-match"}
    | {"if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive"}
    | {"max-forwards", "range", "te", "trailer", "transfer-encoding", "upgrade", "via"}
    | {"want-content-digest", "want-repr-digest", "x-forwarded-for", "x-forwarded-host"}
    | {"x-forwarded-proto", "x-real-ip"}
)
# Without these, metadata services of clouds answer nobody; no image is fetched with them.
METADATA = frozenset({"metadata", "metadata-flavor", "x-google-metadata-request"})

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[!-~](?:[ -~\t]*[!-~])?|")


def check_request_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that would change the request itself, or smuggle a second one.

    Raises:
        InvalidRequest: Its reason names a header, never a value.

    Source: RFC 9110 sections 5.1 and 5.5.
    """
    if len(headers) > MAX_HEADERS:
        raise InvalidRequest(field="headers", reason=f"more than {MAX_HEADERS} headers")
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADER_BYTES:
        raise InvalidRequest(field="headers", reason=f"headers of more than {MAX_HEADER_BYTES:,} bytes")
    if len({name.lower() for name in headers}) < len(headers):
        raise InvalidRequest(field="headers", reason="a header is given twice")
    for name, value in headers.items():
        _check_header(name, value)


def _check_header(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(field="headers", reason="a header name is not valid")
    lowered = name.lower()
    if lowered in RESERVED or lowered.startswith("proxy-"):
        raise InvalidRequest(field="headers", reason=f"the header {name} is set by the service itself")
    if lowered in METADATA or lowered.startswith("x-aws-ec2-metadata"):
        raise InvalidRequest(field="headers", reason=f"the header {name} is not sent to sources")
    if not _VALUE.fullmatch(value):
        raise InvalidRequest(field="headers", reason=f"the value of {name} is not printable ASCII")


def check_submitted(submission: Submission, settings: Settings) -> None:
    """Refuse what a submission brings for its own requests: headers, certificates and authorities.

    Raises:
        InvalidRequest: With what is wrong.
    """
    if submission.remote is not None:  # Operator and other service answer for it.
        return
    check_request_headers(submission.headers)
    if submission.client_certificate is not None and not settings.tls.client_certificates:
        shut = "the operator takes no client certificates with an import"
        raise InvalidRequest(field="client_certificate_pem", reason=shut)
    most = settings.tls.max_ca_pem_bytes
    if len((submission.ca_pem or "").encode()) > most:
        shut = "the operator takes no authorities with an import"
        raise InvalidRequest(field="ca_pem", reason=f"at most {most:,} bytes are taken" if most else shut)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    return (
        Limit(
            name="max_request_headers",
            type="integer",
            value=MAX_HEADERS,
            description="How many headers of one's own a submission may send to its source.",
            guard="request_headers",
        ),
        Limit(
            name="max_request_header_bytes",
            type="integer",
            value=MAX_HEADER_BYTES,
            description="How many bytes these headers may have in all.",
            guard="request_headers",
        ),
        Limit(
            name="client_certificates_allowed",
            type="boolean",
            value=settings.tls.client_certificates,
            description="Whether a submission may bring a client certificate and its key for its source.",
            guard="request_headers",
        ),
        Limit(
            name="max_ca_pem_bytes",
            type="integer",
            value=settings.tls.max_ca_pem_bytes,
            description="How many bytes of authorities a submission may bring for its own requests; 0: none.",
            guard="request_headers",
        ),
    )


GUARD = GuardSpec(
    name="request_headers",
    title="Request headers",
    sections=("tls",),
    limits=limits,
    check_submission=check_submitted,
    fields=("headers", "client_certificate", "ca_pem"),
    checks=(check_request_headers,),
)
