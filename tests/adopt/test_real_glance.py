"""Taking over images of a real Glance, where GLANCE_URL and OS_TOKEN (of a member of a project) name one."""

import hashlib
import os
from pathlib import Path

import aiohttp
import pytest

from tests.cli.conftest import Fetcher
from tests.images import qcow2, raw
from tests.service import Running

URL, TOKEN = os.environ.get("GLANCE_URL", ""), os.environ.get("OS_TOKEN", "")

pytestmark = pytest.mark.skipif(not URL or not TOKEN, reason="GLANCE_URL and OS_TOKEN name no Glance")


async def test_images_of_a_real_glance_come_over(
    tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, properties, tags and bytes are Glance's, its hash is met, and a second run does nothing."""
    monkeypatch.setenv("GLANCE_TOKEN", TOKEN)
    bodies = {"raw": raw(300_000), "qcow2": qcow2(clusters=3)}
    ids = {}
    async with aiohttp.ClientSession(URL, headers={"X-Auth-Token": TOKEN}) as glance:
        for kind, body in bodies.items():
            fields = {
                "name": kind,
                "disk_format": kind,
                "container_format": "bare",
                "tags": ["t"],
                "os_distro": "x",
            }
            async with glance.post("/v2/images", json=fields) as answer:
                ids[kind] = (await answer.json())["id"]
            octets = {"Content-Type": "application/octet-stream"}
            async with glance.put(f"/v2/images/{ids[kind]}/file", data=body, headers=octets) as answer:
                assert answer.status == 204, await answer.text()
        host, port = URL.rpartition("//")[2].split(":")
        opened = {"allow": [{"cidr": f"{host}/32", "ports": [int(port)]}]}
        remotes = {"remotes": [{"region": "origin", "url": URL}]}
        async with Running(tmp_path, address=opened, image_api=remotes, url={"allow_literals": True}) as near:
            only = [word for image_id in ids.values() for word in ("--only", image_id)]
            command = [
                "adopt",
                "--from",
                URL,
                "--server",
                near.base,
                "--token-env",
                "GLANCE_TOKEN",
                "--json",
                *only,
            ]
            planned = await fetcher(*command, "--dry-run")
            assert [step["action"] for step in planned.json["images"]] == ["carry", "carry"], planned.err
            done = await fetcher(*command)
            assert done.json["counts"] == {"adopted": 2}, done.err
            for kind, body in bodies.items():
                here = await near.get(f"/v2/images/{ids[kind]}")
                assert (here["status"], here["name"], here["tags"], here["os_distro"]) == (
                    "active",
                    kind,
                    ["t"],
                    "x",
                )
                assert here["os_hash_value"] == hashlib.sha512(body).hexdigest()
            assert (await fetcher(*command)).json["counts"] == {"keep": 2}
        for image_id in ids.values():
            async with glance.delete(f"/v2/images/{image_id}") as answer:
                assert answer.status == 204
