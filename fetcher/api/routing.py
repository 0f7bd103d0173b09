"""The routes by the first segment of their paths: Starlette tries them all, one by one."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send


class ByFirstSegment:
    """Hands a request to those routes alone that may match it, in their order.

    Args:
        router: Of all routes; it takes what is no request.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        segments = {_first(route) for route in router.routes}
        self._rooms = {segment: _only(router, {segment, ""}) for segment in segments}
        self._rest = _only(router, {""})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request."""
        if scope["type"] != "http":
            await self._router.app(scope, receive, send)
            return
        segment = scope["path"][1:].partition("/")[0]
        await self._rooms.get(segment, self._rest).app(scope, receive, send)


def _first(route: BaseRoute) -> str:
    """Return the first segment of a route's path; nothing where it may be any."""
    segment = str(getattr(route, "path", "")).removeprefix("/").partition("/")[0]
    return "" if "{" in segment else segment


def _only(router: Router, segments: Iterable[str]) -> Router:
    routes = [route for route in router.routes if _first(route) in segments]
    return Router(routes, redirect_slashes=False, default=router.default)
