"""The hand-over into a real Glance, where GLANCE_URL and OS_TOKEN (of a member of a project) name one."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.importer.send.lab import DATA
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

URL, TOKEN = os.environ.get("GLANCE_URL", ""), os.environ.get("OS_TOKEN", "")
HEADERS = {"X-Auth-Token": TOKEN}

pytestmark = pytest.mark.skipif(not URL or not TOKEN, reason="GLANCE_URL and OS_TOKEN name no Glance")


@pytest.fixture
async def glance() -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the Glance."""
    async with aiohttp.ClientSession(URL, headers=HEADERS) as client:
        yield client


async def run(folder: Path, *, headers: dict[str, str] = HEADERS, **fields: Any) -> dict[str, Any]:
    """Import once into the Glance."""
    async with (
        Origin({"/disk.img": behaviours.serve(DATA)}) as origin,
        Running(folder, origin, target={"url": URL, "poll_seconds": 0.1}) as service,
    ):
        body = {"url": origin.url("/disk.img"), "disk_format": "raw"} | fields
        status, made, _headers = await service.call("POST", "/imports", json=body, headers=headers)
        assert status == 202, made
        return await service.ended(made["id"])


async def test_glance_makes_the_image(tmp_path: Path, glance: aiohttp.ClientSession) -> None:
    """It is active with our bytes, our properties and the id that was told from the beginning."""
    ended = await run(tmp_path, tags=["t"], properties={"hw_disk_bus": "scsi"})
    assert ended["state"] == "succeeded", ended
    async with glance.get(f"/v2/images/{ended['image_id']}") as answer:
        record = await answer.json()
    assert (record["status"], record["name"], record["size"]) == ("active", "disk.img", len(DATA))
    assert (record["tags"], record["hw_disk_bus"]) == (["t"], "scsi")
    assert record["import_sha256"] == hashlib.sha256(DATA).hexdigest()
    async with glance.get(f"/v2/images/{ended['image_id']}/file") as answer:
        assert await answer.read() == DATA
    async with glance.delete(f"/v2/images/{ended['image_id']}") as answer:
        assert answer.status == 204


async def test_glance_fills_an_image_that_waits(tmp_path: Path, glance: aiohttp.ClientSession) -> None:
    """A record that the user made before gets the bytes and what it lacks."""
    async with glance.post("/v2/images", json={"name": "mine"}) as answer:
        image_id = (await answer.json())["id"]
    ended = await run(tmp_path, target_image_id=image_id)
    assert ended["state"] == "succeeded", ended
    async with glance.get(f"/v2/images/{image_id}") as answer:
        record = await answer.json()
    assert (record["status"], record["name"], record["disk_format"]) == ("active", "mine", "raw")
    async with glance.delete(f"/v2/images/{image_id}") as answer:
        assert answer.status == 204


async def test_glance_judges_the_token_and_takes_what_is_long(
    tmp_path: Path, glance: aiohttp.ClientSession
) -> None:
    """A token that is none is told with its status; the longest name and tag that there may be are taken."""
    ended = await run(tmp_path, headers={"X-Auth-Token": "none"})
    assert (ended["verdict"]["code"], ended["verdict"]["fields"]["status"]) == ("target-refused", 401)
    async with glance.get("/v2/images") as answer:
        assert [image for image in (await answer.json())["images"] if "import_id" in image] == []
    ended = await run(tmp_path, properties={"os_hidden_x": "x" * 300}, name="n" * 255, tags=["a" * 255])
    assert ended["state"] == "succeeded", ended
    async with glance.delete(f"/v2/images/{ended['image_id']}") as answer:
        assert answer.status == 204


async def test_an_image_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Only an image that waits at Glance can be filled; none is made in its place."""
    ended = await run(tmp_path, target_image_id="11111111-2222-4333-8444-555555555555")
    assert "no image of that id" in ended["verdict"]["title"]
