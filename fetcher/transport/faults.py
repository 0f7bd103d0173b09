"""What aiohttp, TLS and the kernel raise, translated once into the table of errors.

The texts are ours throughout: an error text that quotes what the other end
sent would let a submitter read services that are no web servers.
"""

import errno
import ssl

import aiohttp

from fetcher.config import Settings
from fetcher.errors import BadResponse, ConnectFailed, Failure, SourceTooSlow, TlsFailed, Truncated
from fetcher.transport.dial import DialRefused, Plan, TooManyAnswers

FOREIGN = (aiohttp.ClientError, OSError, EOFError)

_ERRNO = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.EHOSTUNREACH: "there is no way to the host",
    errno.ENETUNREACH: "there is no way to the network",
    errno.ECONNRESET: "the connection was reset",
    errno.EPIPE: "the connection was reset",
    errno.ETIMEDOUT: "the host does not answer",
    errno.EMFILE: "this machine has no file descriptors left",
    errno.ENFILE: "this machine has no file descriptors left",
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
    64: "its certificate is for another name",
}


def before_head(error: BaseException, plan: Plan, settings: Settings) -> Failure:
    """Translate what ended a hop before its head was there."""
    if plan.refused is not None:
        return plan.refused
    if isinstance(error, TimeoutError):
        return _timed_out(plan, settings)
    if isinstance(error, aiohttp.ClientConnectorError | ssl.SSLError):
        return _not_connected(error, plan)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return _bad_head(error, plan)
    return _unconnected(plan, "the connection was broken off before the answer")


def _bad_head(error: aiohttp.ClientResponseError | aiohttp.ClientPayloadError, plan: Plan) -> Failure:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _unconnected(plan, f"the egress proxy answered {error.status}")
    if isinstance(error, TooManyAnswers):
        return BadResponse(reason="it announces its answer without end")
    return _noted(BadResponse(reason="its head is malformed or too large"), error)


def in_body(error: BaseException, received_bytes: int, declared_bytes: int | None) -> Failure:
    """Translate what ended a body."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, aiohttp.ClientResponseError) or isinstance(
        cause, aiohttp.http_exceptions.TransferEncodingError
    ):
        message = str(getattr(cause, "message", ""))
        if not message.startswith("Not enough data"):
            return _noted(BadResponse(reason="its body is not framed as it said"), error)
    declared = "an unknown number of" if declared_bytes is None else declared_bytes
    return _noted(Truncated(received_bytes=received_bytes, declared_bytes=declared), error)


def _timed_out(plan: Plan, settings: Settings) -> Failure:
    if not plan.is_connected:
        return _unconnected(plan, "no connection in time")
    seconds = settings.pace.header_seconds
    return SourceTooSlow(reason=f"no complete head within {seconds:g} seconds", limit_seconds=seconds)


def _not_connected(error: aiohttp.ClientConnectorError | ssl.SSLError, plan: Plan) -> Failure:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        code = getattr(error.certificate_error, "verify_code", 0)
        return TlsFailed(host=plan.host, reason=_CERTIFICATE.get(code, "its certificate is not acceptable"))
    if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return _noted(TlsFailed(host=plan.host, reason="no secure connection could be agreed on"), error)
    if isinstance(error.os_error, DialRefused):
        return error.os_error.failure
    reason = _ERRNO.get(error.os_error.errno or 0, "the connection failed")
    return _noted(_unconnected(plan, reason), error)


def _unconnected(plan: Plan, reason: str) -> ConnectFailed:
    return ConnectFailed(host=plan.host, port=plan.port, reason=reason)


def _noted(failure: Failure, error: BaseException) -> Failure:
    """Keep what the other end sent for the operator's log alone: notes are no part of an error's text."""
    failure.add_note(ascii(str(error))[:500])
    return failure
