"""The one place that turns the table of errors into answers (RFC 9457 problem details)."""

from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fetcher import errors
from fetcher.advice import advice_for
from fetcher.api.auth.identity import challenge
from fetcher.api.json_answers import JsonAnswer
from fetcher.errors import Failure

STATUS: dict[type[Failure], int] = {
    errors.InternalFault: 500,
    errors.StoreFailed: 503,
    errors.StoreFull: 507,
    errors.BytesDamaged: 503,
    errors.QueueFull: 429,
    errors.NotReady: 503,
    errors.Shortage: 503,
    errors.ReadGivenUp: 503,
    errors.TooManyBodies: 503,
    errors.TooManyConnections: 503,
    errors.PartMissing: 501,
    errors.HeadTooLarge: 431,
    errors.RequestTooSlow: 408,
    errors.Interrupted: 503,
    errors.IdentityUnavailable: 503,
    errors.QuotaExceeded: 413,
    errors.TooManyBytes: 413,
    errors.UnknownImport: 404,
    errors.UnknownExport: 404,
    errors.ReceiverForbidden: 403,
    errors.SendLimit: 429,
    errors.LinkInvalid: 403,
    errors.UnknownImage: 404,
    errors.UnknownMember: 404,
    errors.NotFound: 404,
    errors.NoAttestation: 404,
    errors.UnknownName: 404,
    errors.UnknownSchedule: 404,
    errors.AttestationUnavailable: 503,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.Cancelled: 409,
    errors.IdempotencyMismatch: 422,
    errors.Forbidden: 403,
    errors.Unauthenticated: 401,
    errors.RequestTooLarge: 413,
    errors.WrongMediaType: 415,
    errors.RangeNotSatisfiable: 416,
}


def status_of(failure: Failure) -> int:
    """Return the HTTP status of a failure: its own, or its family's."""
    return status_of_kind(type(failure.public()))


def status_of_kind(kind: type[Failure]) -> int:
    """Return the HTTP status that answers a kind of failure."""
    if kind in STATUS:
        return STATUS[kind]
    return 502 if issubclass(kind, errors.SourceFailure) else 400


def headers_of(failure: Failure, request: Request) -> dict[str, str]:
    """Return the headers that a failure's answer has, whatever its form."""
    headers = retry_after(failure)
    if status_of(failure) == 401:
        headers["WWW-Authenticate"] = challenge(request.app.state.services.current.settings)
    if isinstance(failure, errors.RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{failure.size}"
    return headers


def detail_of(failure: Failure) -> str:
    """Return what went wrong, as the caller may know it."""
    public = failure.public()
    return summary(type(public)) if public.hidden else str(public)


def summary(kind: type[Failure]) -> str:
    """Return the kind of failure in one short sentence that is the same each time."""
    return (kind.__doc__ or "").partition("\n")[0]


def advice_of(failure: Failure) -> str:
    """Return what the caller can do about it."""
    return advice_for(failure)


def retry_after(failure: Failure) -> dict[str, str]:
    """Return the Retry-After header of failures that pass with time."""
    seconds = failure.public().fields().get("retry_after_seconds")
    return {} if seconds is None else {"Retry-After": str(max(1, round(seconds)))}


def problem(failure: Failure, request: Request) -> Response:
    """Answer with what went wrong, for programs (code, fields) and people (detail, advice)."""
    request_id = request.scope.get("request_id")
    document = problem_document(failure, base_url(request), request.url.path, request_id)
    headers = headers_of(failure.public(), request)
    return JsonAnswer(document, document["status"], headers, media_type="application/problem+json")


def problem_document(failure: Failure, base: str, instance: str, request_id: str | None) -> dict[str, Any]:
    """Return a failure as a problem document.

    Args:
        base: Where this service is.
        instance: The path that was asked for.
    """
    public = failure.public()
    return {
        "type": f"{base}/errors/{public.code}",
        "title": summary(type(public)),
        "status": status_of(public),
        "detail": detail_of(public),
        "code": public.code,
        "advice": advice_of(public),
        "instance": instance,
        "request_id": request_id,
        **public.public_fields(),
    }


def base_url(request: Request) -> str:
    """Return what links in answers begin with."""
    configured: str = request.app.state.services.current.settings.server.public_url
    if configured:
        return configured
    scope = request.scope
    host = next((value for name, value in scope["headers"] if name == b"host"), None)
    root = scope.get("app_root_path", scope.get("root_path", ""))
    return _base(scope.get("scheme", "http"), host, scope.get("server"), root)


@lru_cache(maxsize=256)  # Clients name few hosts, and to make a URL takes as long as to judge one.
def _base(scheme: str, host: bytes | None, server: tuple[str, int | None] | None, root: str) -> str:
    headers = [] if host is None else [(b"host", host)]
    scope = {"type": "http", "scheme": scheme, "server": server, "root_path": root, "headers": headers}
    return str(Request({**scope, "path": "/", "query_string": b""}).base_url).rstrip("/")
