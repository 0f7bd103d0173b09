"""A look at a URL before the import starts: asks the API's `POST /imports/probe`, where there is one."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from fetcher.api.page.session import with_token
from fetcher.guards.request.redaction import redact_url

Endpoint = Callable[[Request], Awaitable[Response]]
PATH = "/imports/probe"


def probe_of(request: Request) -> Endpoint | None:
    """Return the API's handler; None where this service has none."""
    for route in request.app.routes:
        if isinstance(route, Route) and route.path == PATH and "POST" in (route.methods or ()):
            endpoint: Endpoint = route.endpoint
            return endpoint
    return None


async def look(request: Request, document: dict[str, Any]) -> dict[str, Any]:
    """Ask the API what a submission would find; what the page shows of it comes back.

    Raises:
        Failure: It could not be looked at.
    """
    endpoint = probe_of(request)
    if endpoint is None:
        return {}
    answer = await endpoint(_asking(request, document))
    return words_of_look(json.loads(bytes(answer.body)))


def _asking(request: Request, document: dict[str, Any]) -> Request:
    """Make the request that a program would send."""
    body = json.dumps(document).encode()
    scope = with_token(request).scope
    kept = [
        (name, value) for name, value in scope["headers"] if name not in {b"content-type", b"content-length"}
    ]
    headers = [*kept, (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({**scope, "headers": headers, "path": PATH}, receive)


def words_of_look(found: dict[str, Any]) -> dict[str, Any]:
    """Pick what the page shows; a source may have stated nothing of it."""
    beside, kind = found.get("checksum_file") or {}, found.get("format") or {}
    return {
        "url": found.get("url"),
        "name": found.get("name"),
        "size": found.get("size"),
        "format": kind.get("name"),
        "checksum_url": redact_url(beside["url"]) if beside.get("url") else None,
        "refusals": [entry.get("title", "") for entry in found.get("refusals") or []],
        "unchecked": None,
    }
