"""Unified limits of a real Keystone: OS_AUTH_URL and ADMIN_PASSWORD name one with the peers' accounts."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.service import Running

URL = os.environ.get("OS_AUTH_URL", "").rstrip("/")
ADMIN = os.environ.get("ADMIN_PASSWORD", "")
GLANCE, USER = os.environ.get("GLANCE_PASSWORD", "glancepw"), os.environ.get("USER_PASSWORD", "userpw")

pytestmark = pytest.mark.skipif(
    not URL or not ADMIN, reason="OS_AUTH_URL and ADMIN_PASSWORD name no Keystone"
)


async def log_in(
    client: aiohttp.ClientSession, name: str, password: str, project: str
) -> tuple[str, str, str]:
    """A token, its project and its user."""
    user = {"name": name, "password": password, "domain": {"id": "default"}}
    scope = {"project": {"name": project, "domain": {"id": "default"}}}
    identity = {"methods": ["password"], "password": {"user": user}}
    async with client.post(
        f"{URL}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
    ) as answer:
        token = (await answer.json())["token"]
        return answer.headers["X-Subject-Token"], token["project"]["id"], token["user"]["id"]


class Keystone:
    """A real Keystone as its admin sees it; what is made here is removed again."""

    def __init__(self, client: aiohttp.ClientSession, token: str, undo: AsyncExitStack) -> None:
        self._client, self._headers, self._undo = client, {"X-Auth-Token": token}, undo

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask for something that must go well."""
        async with self._client.request(method, f"{URL}/{path}", json=body, headers=self._headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json() if answer.status in {200, 201} else None

    async def limit(self, kind: str, **fields: Any) -> None:
        """Set a limit for the time of the test."""
        made = await self.call("POST", kind, {kind: [fields]})
        self._undo.push_async_callback(self.call, "DELETE", f"{kind}/{made[kind][0]['id']}")


@pytest.fixture
async def keystone() -> AsyncIterator[tuple[Keystone, aiohttp.ClientSession]]:
    """The Keystone, and a client for other logins."""
    async with aiohttp.ClientSession() as client, AsyncExitStack() as undo:
        token, _project, _user = await log_in(client, "admin", ADMIN, "admin")
        yield Keystone(client, token, undo), client


async def test_limits_of_a_real_keystone_are_quotas(
    tmp_path: Path, keystone: tuple[Keystone, aiohttp.ClientSession]
) -> None:
    """A registered limit is everybody's, a project's own goes before it; both are shown and held to."""
    admin, client = keystone
    alice, project, _user = await log_in(client, "alice", USER, "proj-a")
    bob, _project, _user = await log_in(client, "bob", USER, "proj-b")
    _token, _project, account = await log_in(client, "glance", GLANCE, "service")
    [service] = (await admin.call("GET", "services?type=image"))["services"]
    endpoint = (await admin.call("GET", f"endpoints?service_id={service['id']}&interface=public"))[
        "endpoints"
    ][0]
    [reader] = (await admin.call("GET", "roles?name=reader"))["roles"]
    await admin.call("PUT", f"system/users/{account}/roles/{reader['id']}")
    place = {"service_id": service["id"], "region_id": endpoint["region_id"]}
    for name, most in (("image_count_total", 3), ("image_size_total", 5)):
        await admin.limit("registered_limits", **place, resource_name=name, default_limit=most)
    await admin.limit(
        "limits", **place, project_id=project, resource_name="image_count_total", resource_limit=2
    )
    own = {"auth_url": URL, "username": "glance", "password": GLANCE, "endpoint_id": endpoint["id"]}
    sections = {"auth": {"mode": "keystone"}, "keystone": own, "quota": {"source": "keystone"}}
    async with Running(tmp_path, **sections) as running:
        for token, most in ((alice, 2), (bob, 3)):
            headers = {"X-Auth-Token": token}
            usage = (await running.get("/v2/info/usage", headers=headers))["usage"]
            assert usage["image_count_total"] == {"limit": most, "usage": 0}
            assert usage["image_size_total"] == {"limit": 5, "usage": 0}
            made = [
                (await running.call("POST", "/v2/images", json={}, headers=headers))[0]
                for _ in range(most + 1)
            ]
            assert made == [*[201] * most, 413]
