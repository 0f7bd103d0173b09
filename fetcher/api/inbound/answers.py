"""Answers that are given before there is a request: problem documents, made without the application."""

import json
from http import HTTPStatus

from fetcher.api.problems import advice_of, detail_of, retry_after, status_of, summary
from fetcher.errors import Failure


def plain_answer(failure: Failure) -> bytes:
    """Build a whole answer for a connection that ends with it (RFC 9457; its `type` is relative)."""
    status = status_of(failure)
    document = {
        "type": f"/errors/{failure.code}",
        "title": summary(type(failure)),
        "status": status,
        "detail": detail_of(failure),
        "code": failure.code,
        "advice": advice_of(failure),
        **failure.public_fields(),
    }
    body = json.dumps(document).encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name.lower()}: {value}" for name, value in retry_after(failure).items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
