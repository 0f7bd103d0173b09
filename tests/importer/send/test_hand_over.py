"""Images on their way into an image service that is kept: this very service stands in for it, and liars do."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.service import Running

TOKEN = {"X-Auth-Token": "token of alice"}
DATA = raw(300_000)


def holder(**entry: Any) -> dict[str, Any]:
    """The configuration of a service that knows one token."""
    token = hashlib.sha256(TOKEN["X-Auth-Token"].encode()).hexdigest()
    return {"mode": "tokens", "tokens": [{"sha256": token, "project": "a", "user": "alice", "roles": ["member"]} | entry]}


class Pair:
    """An image service that is kept, and the service that imports for it."""

    def __init__(self, folder: Path, origin: Origin, **target: Any) -> None:
        (folder / "kept").mkdir()
        (folder / "ours").mkdir()
        self.kept = Running(folder / "kept", origin, auth=holder())
        self._folder, self._origin, self._target = folder / "ours", origin, target
        self.ours: Running

    async def __aenter__(self) -> "Pair":
        await self.kept.__aenter__()
        target = {"url": self.kept.base, "poll_seconds": 0.02, **self._target}
        self.ours = Running(self._folder, self._origin, target=target)
        await self.ours.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.ours.__aexit__(*exc)
        await self.kept.__aexit__(*exc)

    async def submit(self, **fields: Any) -> dict[str, Any]:
        fields = {"disk_format": "raw"} | fields
        status, made, _headers = await self.ours.call("POST", "/imports", json=fields, headers=TOKEN)
        assert status == 202, made
        return dict(made)

    async def run(self, **fields: Any) -> dict[str, Any]:
        return await self.ours.ended((await self.submit(**fields))["id"])

    async def there(self, image_id: str) -> tuple[int, Any]:
        status, record, _headers = await self.kept.call("GET", f"/v2/images/{image_id}", headers=TOKEN)
        return status, record


async def test_an_image_goes_on_into_the_service_that_is_kept(tmp_path: Path) -> None:
    """It is active there with all that was said of it, its story stays here, and its bytes do not."""
    async with Origin({"/disk.img": behaviours.serve(DATA)}) as origin, Pair(tmp_path, origin) as pair:
        ended = await pair.run(
            url=origin.url("/disk.img"), tags=["t"], properties={"hw_disk_bus": "scsi"}, min_ram=64
        )
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["verdict"]["title"] == "The image is active at the target image service."
        assert ended["target"]["status"] == "active"
        assert ended["target"]["percent"] == 100.0
        status, record = await pair.there(ended["image_id"])
        assert status == 200
        assert (record["status"], record["owner"], record["name"]) == ("active", "a", "disk.img")
        assert (record["tags"], record["hw_disk_bus"], record["min_ram"]) == (["t"], "scsi", 64)
        assert record["import_url"] == origin.url("/disk.img")
        assert record["import_sha256"] == hashlib.sha256(DATA).hexdigest()
        async with pair.kept.client.get(f"/v2/images/{ended['image_id']}/file", headers=TOKEN) as answer:
            assert await answer.read() == DATA
        assert ended["links"]["image"] == f"{pair.kept.base}/v2/images/{ended['image_id']}"
        story = await pair.ours.get(f"/imports/{ended['id']}/provenance")
        assert story["digests"]["sha256"] == hashlib.sha256(DATA).hexdigest()
        assert pair.ours.traces() == []
        listed = await pair.ours.get("/v2/images")
        assert listed["images"] == []
