"""Group I: text without bound, in records, submissions and answers."""

from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from tests.images import HTML
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

LARGE = {f"p{number}": "x" * 60_000 for number in range(4)}
TOO_LARGE = {f"p{number}": "x" * 60_000 for number in range(5)}


async def test_i11_a_record_with_more_text_than_it_may_hold_is_refused(tmp_path: Path) -> None:
    """By either face, at once or bit by bit; what may be had is published."""
    async with Origin({}) as origin, Running(tmp_path, origin) as service:
        body: dict[str, Any] = {"url": origin.url("/x"), "properties": TOO_LARGE}
        status, document, _headers = await service.call("POST", "/imports", json=body)
        assert (status, document["code"], document["quota"]) == (413, "quota-exceeded", 262_144)
        assert (await service.call("POST", "/v2/images", json=TOO_LARGE))[0] == 413
        status, image, _headers = await service.call("POST", "/v2/images", json=LARGE)
        assert status == 201
        patch = [{"op": "add", "path": "/p4", "value": "x" * 60_000}]
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        assert (await service.call("PATCH", f"/v2/images/{image['id']}", json=patch, headers=headers))[
            0
        ] == 413
        assert (await service.get("/limits"))["limits"]["max_text_bytes"]["value"] == 262_144


async def test_i11_text_counts_against_a_quota(tmp_path: Path) -> None:
    """Many records of the most text are bounded too, and what goes away is free again."""
    async with Running(tmp_path, quota={"max_text_bytes": 500_000}) as service:
        ids = []
        for status in (201, 201, 413):
            found, document, _headers = await service.call("POST", "/v2/images", json=LARGE)
            assert found == status
            ids.append(document.get("id"))
        assert (await service.call("DELETE", f"/v2/images/{ids[0]}"))[0] == 204
        assert (await service.call("POST", "/v2/images", json=LARGE))[0] == 201
        assert await service.service.app.state.services.index.maintenance.miscounted() == []


async def test_i11_the_text_of_a_refused_submission_goes_with_its_end(tmp_path: Path) -> None:
    """What ends without an image leaves a few kilobytes, whatever was sent."""
    async with Origin({"/p": behaviours.serve(HTML)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/p"), disk_format="qcow2", properties=LARGE, name="kept")
        assert ended["verdict"]["code"] != "ok"
        shown = await service.get(f"/imports/{ended['id']}")
        assert shown["submission"]["properties"] == {}
        assert shown["name"] == "kept"
        db = Database(service.data / "index.sqlite")
        (size,) = db.execute("SELECT max(length(submission)) FROM imports").fetchone()
        assert size < 4096
        db.close()


async def test_i11_lists_of_schedules_have_a_bound_in_bytes(tmp_path: Path) -> None:
    """Also what an image will have is text; an admin's list has that of all projects."""
    source = {"name": "a", "kind": "simplestreams", "url": "https://a.example/streams/v1/index.json"}
    rules: dict[str, Any] = {"server": {"max_answer_bytes": 600_000}, "catalogue": {"sources": [source]}}
    async with Running(tmp_path, **rules) as service:
        body: dict[str, Any] = {"catalogue": "a/x", "properties": LARGE}
        for number in range(5):
            status, _made, _headers = await service.call(
                "POST", "/schedules", json={**body, "name": f"n{number}"}
            )
            assert status == 201
        found: list[str] = []
        following: str | None = "/schedules"
        while following:
            async with service.client.get(following) as answer:
                assert len(await answer.read()) < 600_000
                document = await answer.json()
            found += [one["name"] for one in document["schedules"]]
            following = (document.get("next") or "").removeprefix(service.base)
        assert found == [f"n{number}" for number in range(5)]


@pytest.mark.parametrize("path", ["/v2/images?sort=name", "/imports?"])
async def test_i11_an_answer_has_a_bound_in_bytes(tmp_path: Path, path: str) -> None:
    """A list of large records is given in parts, each with a link to the next, and nothing is left out."""
    rules: dict[str, Any] = {"server": {"max_answer_bytes": 600_000}, "imports": {"max_running": 1}}
    routes = {"*": behaviours.silent()}
    async with Origin(routes) as origin, Running(tmp_path, origin, **rules) as service:
        made = [
            await service.submit(url=origin.url(f"/{n}"), properties=LARGE, name=f"n{n}") for n in range(7)
        ]
        found: list[str] = []
        following: str | None = f"{path}&limit=1000"
        while following:
            async with service.client.get(following) as answer:
                assert len(await answer.read()) < 1_000_000
                document = await answer.json()
            found += [record["name"] for record in document.get("images") or document.get("imports") or []]
            following = document.get("next")
        assert sorted(found) == sorted(record["name"] for record in made)
