"""Faults of aiohttp, TLS and the kernel, translated once into the table of errors.

The texts are ours throughout: an error text that quotes what the other end
sent would let a submitter read services that are no web servers.
"""

import errno
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from fetcher.descriptors import are_short
from fetcher.errors import BadResponse, ConnectFailed, Failure, Http2Only, Shortage, TlsFailed, Truncated
from fetcher.shortage import is_shortage

FOREIGN = (aiohttp.ClientError, OSError, EOFError)

CLIENT_WANTED = "it asks for a client certificate"
CLIENT_REFUSED = "it does not accept the client certificate"
OPERATOR_REFUSED = "it does not accept the operator's client certificate"
# What a server says of the certificate that it was shown, or was not.
_OF_CLIENT = (
    *("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE"),
    *("ALERT_CERTIFICATE_", "ALERT_ACCESS_DENIED"),
)
_ERRNO = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.EHOSTUNREACH: "there is no way to the host",
    errno.ENETUNREACH: "there is no way to the network",
    errno.ECONNRESET: "the connection was reset",
    errno.EPIPE: "the connection was reset",
    errno.ETIMEDOUT: "the host does not answer",
}
NOT_AGREED = "no secure connection could be agreed on"
# OpenSSL's names of what came in place of a handshake.
_IN_TLS = {
    "WRONG_VERSION_NUMBER": "it speaks no TLS at this port",
    "HTTP_REQUEST": "it speaks no TLS at this port",
    "RECORD_LAYER_FAILURE": "it speaks no TLS at this port",
    "UNRECOGNIZED_NAME": "it does not know the host name",
}
# OpenSSL's X509_V_ERR_* numbers.
_CERTIFICATE = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is signed by itself",
    19: "its certificate leads to an authority that is not trusted",
    20: "its certificate is from an authority that is not trusted",
    21: "its certificate is from an authority that is not trusted",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
# What the parser says of answers that are HTTP, and are refused all the same.
_IN_HEAD = {
    "Data after `Connection: close`": "more bytes come than it announced",
    "Too many headers received": "it has too many header fields",
}


class HandshakeRefused(ssl.SSLError):
    """The server ended a handshake whose cipher was settled: it wants to know who we are."""


class ProxyRefused(OSError):
    """The egress proxy did not connect us; its status says why."""


def as_handshake_refusal(error: ssl.SSLError) -> ssl.SSLError:
    """Tell an alert apart that would else be taken for want of a common cipher."""
    return HandshakeRefused(*error.args) if "ALERT_HANDSHAKE_FAILURE" in str(error) else error


def while_connecting(error: BaseException, host: str, port: int, *, shown: str = "") -> Failure:
    """Translate what ended a connection before anything was asked.

    Args:
        shown: What is to be said where the certificate that we had to show is refused.
    """
    # Without descriptors OpenSSL cannot read the authorities, and finds none.
    if is_shortage(error) or (isinstance(error, ssl.SSLCertVerificationError) and are_short()):
        return Shortage(reason=f"connect: {error}")
    if isinstance(error, ssl.SSLError):
        return _in_tls(error, host, shown=shown)
    if isinstance(error, ProxyRefused):
        return ConnectFailed(host=host, port=port, reason=f"the egress proxy answered: {error}")
    if isinstance(error, TimeoutError):
        return ConnectFailed(host=host, port=port, reason="no connection in time")
    if isinstance(error, ConnectionResetError | EOFError):
        return ConnectFailed(host=host, port=port, reason="the connection was broken off")
    reason = _ERRNO.get(getattr(error, "errno", None) or 0, "the connection failed")
    return _noted(ConnectFailed(host=host, port=port, reason=reason), error)


def _of_client(error: BaseException | None) -> bool:
    return isinstance(error, HandshakeRefused) or any(alert in str(error) for alert in _OF_CLIENT)


def _in_tls(error: ssl.SSLError, host: str, *, shown: str) -> Failure:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATE.get(error.verify_code, "its certificate is not acceptable")
        return TlsFailed(host=host, reason=reason)
    is_http2 = "no application protocol" in str(error)  # Of alert 120 Python knows no name.
    reason = next((words for name, words in _IN_TLS.items() if name in str(error)), NOT_AGREED)
    if _of_client(error):
        reason = shown or CLIENT_WANTED
    failed = TlsFailed(host=host, reason=reason)
    return _noted(Http2Only(host=host) if is_http2 else failed, error)


def before_head(
    error: BaseException, host: str, port: int, *, is_http2: bool = False, shown: str = ""
) -> Failure:
    """Translate what ended a connection between the request and the head of its answer.

    From TLS 1.3 on a server judges our certificate when the handshake is over for us; what it says of it
    may be lost with the connection.
    """
    if is_http2:
        return _noted(Http2Only(host=host), error)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        found = (reason for words, reason in _IN_HEAD.items() if words in str(error))
        return _noted(BadResponse(reason=next(found, "it is malformed, or its head is too large")), error)
    if shown:
        return _noted(TlsFailed(host=host, reason=shown), error)
    if any(map(_of_client, (error, error.__cause__, error.__context__))):
        return _noted(TlsFailed(host=host, reason=CLIENT_WANTED), error)
    return ConnectFailed(host=host, port=port, reason="the connection was broken off before the answer")


def in_body(error: BaseException, received_bytes: int, declared_bytes: int | None) -> Failure:
    """Translate what ended a body."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, HttpProcessingError) and not cause.message.startswith("Not enough data"):
        return _noted(BadResponse(reason="its body is not framed as it said"), error)
    declared = "an unknown number of" if declared_bytes is None else declared_bytes
    return _noted(Truncated(received_bytes=received_bytes, declared_bytes=declared), error)


def _noted(failure: Failure, error: BaseException) -> Failure:
    """Keep what the other end sent for the operator's log alone: notes are no part of an error's text."""
    failure.add_note(ascii(str(error))[:500])
    return failure
