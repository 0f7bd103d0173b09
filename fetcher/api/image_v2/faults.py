"""The table of errors in the form that Image API clients read.

python-glanceclient takes the `message` of every object in a JSON answer,
openstacksdk and Tempest take the first one: so there is one object, `error`,
and its message says what went wrong and what to do. What programs branch on
stands beside it.
"""

from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from fetcher import errors
from fetcher.api.image_v2.answers import Answer
from fetcher.api.image_v2.resources.body_peer import UNREAD, UPLOAD
from fetcher.api.problems import advice_of, detail_of, headers_of, status_of_kind
from fetcher.errors import Failure
from fetcher.importer.records.upload_words import upload_words

# What a source does to a pull, a sender does to an upload: then it is the caller's fault.
STATUS: dict[type[Failure], int] = {
    errors.SourceTooSlow: 408,
    errors.DeadlinePassed: 408,
    errors.Truncated: 400,
    errors.UnknownImport: 404,
}


def status_of_fault(kind: type[Failure]) -> int:
    """Return the HTTP status of a kind of failure, as the Image API answers it."""
    return STATUS.get(kind, status_of_kind(kind))


def _message(public: Failure, request: Request) -> str:
    """Say what went wrong and what to do, to a sender of bytes in words about the upload."""
    words = upload_words(public) if request.scope.get(UPLOAD) else None
    title, advice = words or (detail_of(public), advice_of(public))
    return f"{title} {advice}"


def fault(failure: Failure, request: Request) -> Answer:
    """Answer with what went wrong."""
    public = failure.public()
    document = fault_document(public, _message(public, request), request.scope.get("request_id"))
    headers = headers_of(public, request)
    if request.scope.get(UNREAD):
        headers["Connection"] = "close"
    return Answer(document, status_of_fault(type(public)), headers)


def fault_document(public: Failure, message: str, request_id: str | None) -> dict[str, Any]:
    """Return a failure in the form that clients of the Image API read."""
    status = status_of_fault(type(public))
    return {
        "error": {
            "code": status,
            "title": HTTPStatus(status).phrase,
            "message": message,
            "type": public.code,
            "fields": public.public_fields(),
            "request_id": request_id,
        }
    }
