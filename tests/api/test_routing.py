"""Routing by the shape of a path: whoever is asked for is found as if all routes were tried."""

import re
from pathlib import Path

import pytest
from starlette.routing import Match, Route

from fetcher.api.routing import ByShape
from fetcher.service import Service
from tests.service import Running

# What a parameter may hold: also words of other routes, nothing, and what a parameter of one segment may not.
VALUES = ("x", "", "images", "imports", "tags", "a/b/c/d/e/f/g", "probe", "metadefs")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


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
    found = ByShape(app.router)
    assert app.router.routes
    for route in app.router.routes:
        for value in VALUES:
            path = re.sub(r"\{[^}]*\}", value, route.path)
            room = found.room(path)
            for method in METHODS:
                wanted = first_match(app.router.routes, path, method)
                assert first_match(room.routes, path, method) is wanted, (method, path)
    assert len(found.room("/v2/images/x").routes) <= 5


def test_paths_of_strangers_make_no_rooms(tmp_path: Path) -> None:
    """Whatever is asked for, only so many routers are kept."""
    app = app_of(tmp_path)
    found = ByShape(app.router)
    for number in range(500):
        for path in (
            f"/{number}",
            f"/v2/{number}/x",
            f"/{number}/{number}",
            "/" * number,
            f"/imports/{number}",
        ):
            found.room(path)
    assert len(found._rooms) < 50


@pytest.mark.parametrize("path", ["/nothing", "/v2/nothing", "/x/", "/nothing/v2/images"])
async def test_what_is_nowhere_is_not_found(tmp_path: Path, path: str) -> None:
    """A path of no route is 404, whether or not others begin like it."""
    async with Running(tmp_path) as service:
        status, document, _headers = await service.call("GET", path)
        assert status == 404
        assert document
