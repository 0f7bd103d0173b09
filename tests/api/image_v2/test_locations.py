"""The locations API of 2.17 and the cache API: what is offered of them, and how the rest is refused."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.api.image_v2.cloud import DISK, Cloud
from tests.lab.behaviours import serve
from tests.lab.origin import Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")

ON = {"image_api": {"locations": True}}


async def test_locations_are_off_by_default(cloud: Cloud) -> None:
    """403 that says what to do, to the owner and to an admin; 404 where the image is not seen."""
    image = await cloud.make()
    path = f"/images/{image['id']}/locations"
    for who in ("alice", "root"):
        document = await cloud.want(403, who, "POST", path, json={"url": "https://a.example/x"})
        assert "import" in document["error"]["message"]
        await cloud.want(403, who, "GET", path)
    for method in ("GET", "POST"):
        await cloud.want(404, "bob", method, path, json={"url": "https://a.example/x"})


async def test_adding_a_location_is_an_import(tmp_path: Path) -> None:
    """The bytes pass the gate and the guards; services read the URL that they came from, without secrets."""
    async with Origin({"/x": serve(DISK)}) as origin, Cloud(tmp_path, origin, **ON) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}/locations"
        assert await cloud.want(200, "root", "GET", path) == []
        data = {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(DISK).hexdigest()}
        body = {"url": origin.url("/x?signature=secret"), "validation_data": data}
        await cloud.want(202, "alice", "POST", path, json=body)
        assert (await cloud.settled(image["id"]))["status"] == "success"
        [location] = await cloud.want(200, "root", "GET", path)
        assert location["url"].startswith(origin.url("/x"))
        assert "secret" not in location["url"]
        await cloud.want(403, "alice", "GET", path)
        await cloud.want(409, "alice", "POST", path, json=body)


async def test_a_locations_hash_is_a_promise(tmp_path: Path) -> None:
    """Bytes of another hash come to nothing, and the image waits again."""
    async with Origin({"/x": serve(DISK)}) as origin, Cloud(tmp_path, origin, **ON) as cloud:
        image = await cloud.make()
        other = await cloud.make()
        body = {"url": origin.url("/x"), "validation_data": {}}
        await cloud.want(202, "alice", "POST", f"/images/{other['id']}/locations", json=body)
        body["validation_data"] = {"os_hash_algo": "sha512", "os_hash_value": "0" * 128}
        await cloud.want(202, "alice", "POST", f"/images/{image['id']}/locations", json=body)
        assert "checksum-mismatch" in (await cloud.settled(image["id"]))["message"]
        assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] == "queued"


BAD: list[Any] = [
    {},
    {"url": ""},
    {"url": 7},
    {"url": "file:///etc/passwd"},
    {"url": "rbd://pool/image/snap"},
    {"url": "http://127.0.0.1/x"},
    {"url": "https://a.example/x", "metadata": {}},
    {"url": "https://a.example/x", "validation_data": {"os_hash_algo": "sha512"}},
    {"url": "https://a.example/x", "validation_data": {"os_hash_value": "0" * 128}},
    {"url": "https://a.example/x", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "00"}},
    {"url": "https://a.example/x", "validation_data": {"os_hash_algo": "odd", "os_hash_value": "00"}},
]


async def test_locations_are_urls_that_may_be_fetched(tmp_path: Path) -> None:
    """Anything else is 400 at once, and the image is as it was; a reader may not add one."""
    async with Cloud(tmp_path, **ON) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}/locations"
        for body in BAD:
            await cloud.want(400, "alice", "POST", path, json=body)
        assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] == "queued"
        await cloud.want(403, "rita", "POST", path, json={"url": "https://a.example/x"})


CACHE = [
    "GET /cache",
    "DELETE /cache",
    "PUT /cache/ID",
    "DELETE /cache/ID",
    "POST /cache/clean",
    "GET /cached_images",
]


@pytest.mark.parametrize("call", CACHE)
async def test_there_is_no_cache(cloud: Cloud, call: str) -> None:
    """404 in the words that clients know, for admins; others are not allowed to ask."""
    method, path = call.split()
    document = await cloud.want(404, "root", method, path)
    assert "caching via API is not supported" in document["error"]["message"]
    await cloud.want(403, "alice", method, path)
