"""Answers that are given before there is a request: made without the application."""

import json
from http import HTTPStatus
from typing import Any

from fetcher.api.problems import advice_of, detail_of, retry_after, status_of, summary
from fetcher.errors import Failure

IMAGE_API = b"/v2/"


def plain_answer(failure: Failure, target: bytes = b"") -> bytes:
    """Build a whole answer for a connection that ends with it.

    Args:
        failure: What went wrong.
        target: What was asked for, as far as it is known; it decides the form, which is the Image API's
            (an `error` object) or a problem document (RFC 9457; its `type` is relative).
    """
    status = status_of(failure)
    is_image_api = target.startswith(IMAGE_API)
    document = _error_object(failure, status) if is_image_api else _problem(failure, status)
    body = json.dumps(document).encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: application/{'json' if is_image_api else 'problem+json'}",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name.lower()}: {value}" for name, value in retry_after(failure).items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def _problem(failure: Failure, status: int) -> dict[str, Any]:
    return {
        "type": f"/errors/{failure.code}",
        "title": summary(type(failure)),
        "status": status,
        "detail": detail_of(failure),
        "code": failure.code,
        "advice": advice_of(failure),
        **failure.public_fields(),
    }


def _error_object(failure: Failure, status: int) -> dict[str, Any]:
    return {
        "error": {
            "code": status,
            "title": HTTPStatus(status).phrase,
            "message": f"{detail_of(failure)} {advice_of(failure)}",
            "type": failure.code,
            "fields": failure.public_fields(),
        }
    }
