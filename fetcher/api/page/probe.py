"""What a URL leads to, before the import starts: asks the API's `POST /imports/probe`, where there is one."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from fetcher.api.page.render import HEADERS, fragment
from fetcher.api.page.session import Visitor, read_form, with_token
from fetcher.api.page.shown import shown
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


@shown
async def probe(request: Request, _visitor: Visitor) -> Response:
    """`POST /page/probe`: name, size, format and checksum file of a URL, as far as the source tells them."""
    form = await read_form(request)
    url, endpoint = (form.get("url") or "").strip(), probe_of(request)
    found: dict[str, Any] = {}
    if url and endpoint is not None:
        answer = await endpoint(_asking(request, {"url": url}))
        found = json.loads(bytes(answer.body)) if answer.status_code < 300 else {}
    return Response(fragment("_probe.html", found=_words(found)), headers=HEADERS, media_type="text/html")


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


def _words(found: dict[str, Any]) -> dict[str, Any]:
    """Pick what the page shows; a source may have told nothing of it."""
    sums = found.get("checksum_url")
    return {
        "name": found.get("name"),
        "size": found.get("size_bytes", found.get("size")),
        "format": found.get("disk_format") or found.get("format"),
        "checksum_url": redact_url(sums) if isinstance(sums, str) else None,
    }
