"""The routes by the shape of their paths: Starlette tries them all, one by one."""

from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

ANY = ""  # A segment that may hold anything.
Shape = tuple[str, str, int]


class ByShape:
    """Hands a request to those routes alone that may match it, in their order.

    The shape of a path is its first two segments and how many it has.

    Args:
        router: Of all routes; it takes what is no request.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        shapes = [_shape(route) for route in router.routes]
        self._first = {first for first, _, _ in shapes}
        self._second = {(first, second) for first, second, _ in shapes}
        self._most = max(count for _, _, count in shapes) + 1
        self._rooms: dict[Shape, Router] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request."""
        if scope["type"] != "http":
            await self._router.app(scope, receive, send)
            return
        await self.room(scope["path"]).app(scope, receive, send)

    def room(self, path: str) -> Router:
        """Return a router of the routes that a path may belong to; there are only so many shapes to keep."""
        first, _, rest = path[1:].partition("/")
        second = rest.partition("/")[0]
        shape = (
            first if first in self._first else ANY,
            second if (first, second) in self._second else ANY,
            min(path.count("/"), self._most),
        )
        found = self._rooms.get(shape)
        if found is None:
            found = self._rooms[shape] = _only(self._router, shape)
        return found


def _shape(route: BaseRoute) -> Shape:
    """Return the shape of a route's paths; its number of segments is 0 where that may be any."""
    path = str(getattr(route, "path", ""))
    first, _, rest = path[1:].partition("/")
    count = path.count("/") if hasattr(route, "methods") and ":path}" not in path else 0
    second = rest.partition("/")[0]
    if "{" in first:
        return ANY, ANY, count
    return first, ANY if "{" in second else second, count


def _only(router: Router, shape: Shape) -> Router:
    """Return a router of the routes whose shape is this one, or may be."""
    first, second, count = shape
    routes = [
        route
        for route, (its_first, its_second, its_count) in zip(
            router.routes, map(_shape, router.routes), strict=True
        )
        if its_first in {first, ANY} and its_second in {second, ANY} and its_count in {count, 0}
    ]
    return Router(routes, redirect_slashes=False, default=router.default)
