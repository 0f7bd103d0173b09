"""Paths as clients of the Image API write them: version prefixes, doubled slashes, methods that exist."""

import re
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fetcher.api.image_v2.versions import MINORS

PREFIX = re.compile(r"/v2\.([0-9]{1,4})(?=/|$)")


class PlainPaths:
    """Middleware that turns `//v2/images` and `/v2.17/images` into `/v2/images`.

    Clients join an endpoint and a path as they see fit, and some put the minor
    version that they speak into the path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, under its plain path."""
        if scope["type"] == "http":
            path = plain(scope["path"])
            if path != scope["path"]:
                scope = {**scope, "path": path}
        await self._app(scope, receive, send)


def plain(path: str) -> str:
    """Return a path without leading double slashes, and with the one version prefix that there is."""
    single = "/" + path.lstrip("/") if path.startswith("//") else path
    found = PREFIX.match(single)
    if found is None or int(found[1]) not in MINORS:
        return single
    return f"/v2{single[found.end() :]}"


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """Return the Allow header of a path: the methods of all its routes.

    Source: RFC 9110 section 15.5.6.
    """
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return ", ".join(sorted(found))
