"""Keystone's unified limits as quotas, against a small Keystone of our own."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fetcher.api.auth.limits_keystone import Limits
from fetcher.config import BadConfig, load_settings
from fetcher.settings.guards.quota import UNLIMITED
from tests.api.test_auth_keystone import SmallKeystone
from tests.lab.origin import Exchange, Origin
from tests.service import Running

MIB = 1_048_576
OCTETS = {"Content-Type": "application/octet-stream"}


class LimitingKeystone(SmallKeystone):
    """Has limits too, which a test may change."""

    def __init__(self) -> None:
        super().__init__()
        self.defaults = {"image_count_total": 3, "image_size_total": 2, "image_count_uploading": 2}
        self.projects: dict[tuple[str, str], int] = {}
        self.is_away = False
        self.queries: list[str] = []

    async def limits(self, exchange: Exchange) -> None:
        """`/v3/endpoints/ID`, `/v3/registered_limits`, `/v3/limits`."""
        name = exchange.request.path.split("/")[2]
        self.queries.append(exchange.request.target)
        documents: dict[str, dict[str, Any]] = {
            "endpoints": {"endpoint": {"service_id": "svc", "region_id": "One", "id": "e"}},
            "registered_limits": {
                "registered_limits": [
                    {"resource_name": key, "default_limit": value, "service_id": "svc"}
                    for key, value in {**self.defaults, "cores": 7}.items()
                ]
            },
            "limits": {
                "limits": [
                    {"resource_name": key, "resource_limit": value, "project_id": project, "domain_id": None}
                    for (project, key), value in self.projects.items()
                ]
            },
        }
        body = json.dumps(documents[name]).encode()
        await self._answer(exchange, 503 if self.is_away else 200, body, {})


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[tuple[Running, LimitingKeystone]]:
    """A service whose quotas are Keystone's, asked for often."""
    keystone = LimitingKeystone()
    keystone.add("t")
    keystone.add("other", project="b")
    keystone.projects = {("b", "image_count_total"): -1, ("b", "image_stage_total"): 1}
    routes = {
        "/v3/auth/tokens": keystone.serve,
        "/v3/endpoints/e": keystone.limits,
        "/v3/registered_limits": keystone.limits,
        "/v3/limits": keystone.limits,
    }
    async with Origin(routes) as origin:
        keys = {"auth_url": origin.url("/v3"), "username": "glance", "password": "pw", "endpoint_id": "e"}
        sections: dict[str, dict[str, Any]] = {
            "auth": {"mode": "keystone"},
            "keystone": {**keys, "limits_seconds": 0.05},
            "quota": {"source": "keystone", "max_staged_bytes": 5 * MIB},
        }
        async with Running(tmp_path, **sections) as service:
            yield service, keystone


async def ask(service: Running, token: str, method: str, path: str, **options: Any) -> tuple[int, Any]:
    headers = {"X-Auth-Token": token, **options.pop("headers", {})}
    return (await service.call(method, f"/v2{path}", headers=headers, **options))[:2]


async def usage(service: Running, token: str) -> dict[str, Any]:
    status, document = await ask(service, token, "GET", "/info/usage")
    assert status == 200
    return dict(document["usage"])


async def new(service: Running, token: str = "t") -> tuple[int, Any]:
    return await ask(
        service, token, "POST", "/images", json={"disk_format": "raw", "container_format": "bare"}
    )


async def test_limits_are_shown_with_what_is_used(cloud: tuple[Running, LimitingKeystone]) -> None:
    """All four names; a project's own limit before the default, ours where Keystone has none."""
    service, keystone = cloud
    found = await usage(service, "t")
    assert {name: entry["limit"] for name, entry in found.items()} == {
        "image_count_total": 3,
        "image_size_total": 2,
        "image_count_uploading": 2,
        "image_stage_total": 5,
    }
    other = await usage(service, "other")
    assert (other["image_count_total"]["limit"], other["image_stage_total"]["limit"]) == (-1, 1)
    assert other["image_size_total"]["limit"] == 2
    assert "/v3/limits?service_id=svc&region_id=One" in keystone.queries


async def test_limits_are_enforced(cloud: tuple[Running, LimitingKeystone]) -> None:
    """At a limit passes, one past it is 413 with the limit in the message."""
    service, _keystone = cloud
    images = [(await new(service))[1]["id"] for _ in range(3)]
    status, document = await new(service)
    assert (status, document["error"]["fields"]["quota"]) == (413, 3)
    big = io.BytesIO(bytes(2 * MIB))
    status, _document = await ask(service, "t", "PUT", f"/images/{images[0]}/file", data=big, headers=OCTETS)
    assert status == 204
    status, _document = await ask(service, "t", "PUT", f"/images/{images[1]}/file", data=b"x", headers=OCTETS)
    assert status == 413
    assert (await usage(service, "t"))["image_size_total"] == {"limit": 2, "usage": 2}


async def test_staged_bytes_and_images_in_the_making_are_limited(
    cloud: tuple[Running, LimitingKeystone],
) -> None:
    """What is staged waits on disk, so it has a limit; so has how many images are written at once."""
    service, keystone = cloud
    keystone.projects["b", "image_size_total"] = 100
    async with asyncio.timeout(30):
        while (await usage(service, "other"))["image_size_total"]["limit"] != 100:
            await asyncio.sleep(0.02)
    images = [(await new(service, "other"))[1]["id"] for _ in range(4)]
    staged = []
    for number, size in enumerate((MIB, 512)):
        body = io.BytesIO(bytes(size))
        path = f"/images/{images[number]}/stage"
        staged.append((await ask(service, "other", "PUT", path, data=body, headers=OCTETS))[0])
    assert staged == [204, 413]
    found = await usage(service, "other")
    assert found["image_stage_total"] == {"limit": 1, "usage": 1}
    assert found["image_count_uploading"] == {"limit": 2, "usage": 1}
    keystone.projects["b", "image_count_uploading"] = 1
    async with asyncio.timeout(30):
        while (await usage(service, "other"))["image_count_uploading"]["limit"] != 1:
            await asyncio.sleep(0.02)
    path = f"/images/{images[2]}/file"
    assert (await ask(service, "other", "PUT", path, data=bytes(512), headers=OCTETS))[0] == 413
    assert (await ask(service, "other", "DELETE", f"/images/{images[0]}"))[0] == 204
    assert (await ask(service, "other", "PUT", path, data=bytes(512), headers=OCTETS))[0] == 204


async def test_limits_are_followed_and_outlive_keystone(cloud: tuple[Running, LimitingKeystone]) -> None:
    """A changed limit holds soon; while Keystone is away and after a SIGHUP the last ones hold."""
    service, keystone = cloud
    keystone.defaults["image_count_total"] = 1
    async with asyncio.timeout(30):
        while (await usage(service, "t"))["image_count_total"]["limit"] != 1:
            await asyncio.sleep(0.02)
    keystone.is_away = True
    asked = len(keystone.queries)
    async with asyncio.timeout(60):
        while len(keystone.queries) < asked + 2:
            await asyncio.sleep(0.02)
    service.service.reload()
    assert (await usage(service, "t"))["image_count_total"]["limit"] == 1
    assert (await new(service))[0] == 201
    assert (await new(service))[0] == 413


def test_keystones_limits_lie_over_the_operators() -> None:
    """By project and key: Keystone's for the project, the operator's, Keystone's default, the file's."""
    quota = load_settings().quota
    limits = Limits({"max_images": 5}, {"a": {"max_bytes": UNLIMITED}})
    over = limits.over(quota)
    assert over.all_of("a") == (5, UNLIMITED, quota.max_uploading, quota.max_staged_bytes)
    assert over.all_of("b") == (5, quota.max_bytes, quota.max_uploading, quota.max_staged_bytes)


def test_limits_need_keystone_and_an_endpoint() -> None:
    """What is missing is told before the start."""
    with pytest.raises(BadConfig) as caught:
        load_settings(changes={"quota": {"source": "keystone"}})
    assert {mistake.key for mistake in caught.value.mistakes} == {"quota.source", "keystone.endpoint_id"}
