"""The answers that can be given while a start is under way.

They are those of `api/inbound/answers.py` to the letter, which a test holds; that one loads the framework,
and these are given because that is not loaded yet.
"""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fetcher.api.hosts import is_for_us
from fetcher.config import Settings
from fetcher.errors import NotReady

STARTING = "it is starting or stopping"  # In the words of the service, once it is there.
NOTHING = {"status": "ok", "imports": {"queued": 0, "running": 0}}
PROBES = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class EarlyAnswers:
    """Whole answers to requests, each of which ends its connection.

    Args:
        settings: In force.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = urlsplit(settings.server.public_url).path.encode()
        waits: dict[str, object] = {"status": "not ready", "reasons": [STARTING]}
        if settings.index.is_shared:
            waits["engine"] = settings.engine.kind
        self._probes = {
            b"/healthz": _answer(200, "json", msgspec.json.encode(NOTHING), PROBES),
            b"/readyz": _answer(503, "json", msgspec.json.encode(waits), PROBES),
        }
        failure = NotReady(reason=STARTING)
        later = {"retry-after": str(round(failure.retry_after_seconds))}
        self._problem = _answer(503, "problem+json", json.dumps(_problem(failure)).encode(), later)
        self._error = _answer(503, "json", json.dumps(_error_object(failure)).encode(), later)

    def may_wait(self, head: bytes) -> bool:
        """Return whether a request, given as for `to`, is better off with the service's own answer."""
        return b"\r\n\r\n" in head and self.to(head) in {self._problem, self._error}

    def to(self, head: bytes) -> bytes:
        """Answer a request.

        Args:
            head: With its end, and what may follow that; one without is answered as any that has to wait.
        """
        line, *fields = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
        method, _, rest = line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if self._prefix and path.startswith(self._prefix + b"/"):
            path = path.removeprefix(self._prefix)
        answer = self._error if path.startswith(b"/v2/") else self._problem
        if method in {b"GET", b"HEAD"} and is_for_us(_hosts(fields), self._settings):
            answer = self._probes.get(path, answer)
        return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == b"HEAD" else answer


def _hosts(fields: list[bytes]) -> list[bytes]:
    named = (field.partition(b":") for field in fields)
    return [value.strip(b" \t") for name, _, value in named if name.lower() == b"host"]


def _answer(status: int, kind: str, body: bytes, fields: dict[str, str]) -> bytes:
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: application/{kind}",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def _problem(failure: NotReady) -> dict[str, Any]:
    """Return it as a problem document, as the service does (RFC 9457)."""
    return {
        "type": f"/errors/{failure.code}",
        "title": (type(failure).__doc__ or "").partition("\n")[0],
        "status": 503,
        "detail": str(failure),
        "code": failure.code,
        "advice": failure.advice,
        **failure.public_fields(),
    }


def _error_object(failure: NotReady) -> dict[str, Any]:
    """Return it as clients of the Image API read it."""
    return {
        "error": {
            "code": 503,
            "title": HTTPStatus(503).phrase,
            "message": f"{failure} {failure.advice}",
            "type": failure.code,
            "fields": failure.public_fields(),
        }
    }
