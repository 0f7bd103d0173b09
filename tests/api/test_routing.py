"""Routing by the first segment: whoever is asked for is found as if all routes were tried."""

import re
from pathlib import Path

import pytest
from starlette.routing import Match, Route

from fetcher.api.routing import ByFirstSegment
from fetcher.service import Service
from tests.service import Running


def app_of(tmp_path: Path) -> object:
    running = Running(tmp_path)
    running.write_config()
    return Service(running.config).app


def first_match(routes: list[Route], path: str, method: str) -> Route | None:
    scope = {"type": "http", "path": path, "method": method, "root_path": ""}
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)


def test_each_route_is_found_as_by_all(tmp_path: Path) -> None:
    """For the path and each method of every route, the same route answers as if all were tried in order."""
    app = app_of(tmp_path)
    found = ByFirstSegment(app.router)
    assert app.router.routes
    for route in app.router.routes:
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        room = found._rooms[path[1:].partition("/")[0]]
        for method in getattr(route, "methods", None) or {"GET"}:
            assert first_match(room.routes, path, method) is first_match(app.router.routes, path, method)


@pytest.mark.parametrize("path", ["/nothing", "/v2/nothing", "/x/", "/nothing/v2/images"])
async def test_what_is_nowhere_is_not_found(tmp_path: Path, path: str) -> None:
    """A path of no route is 404, whether or not others begin like it."""
    async with Running(tmp_path) as service:
        status, document, _headers = await service.call("GET", path)
        assert status == 404
        assert document
