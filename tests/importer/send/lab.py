"""The service, importing for an image service that is kept."""

import hashlib
from pathlib import Path
from typing import Any, Self

from tests.images import raw
from tests.importer.send.kept import Kept
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

TOKEN = {"X-Auth-Token": "token of alice"}
DATA = raw(300_000)


def holder(**entry: Any) -> dict[str, Any]:
    """The configuration of a service that knows one token."""
    token = hashlib.sha256(TOKEN["X-Auth-Token"].encode()).hexdigest()
    return {
        "mode": "tokens",
        "tokens": [{"sha256": token, "project": "a", "user": "alice", "roles": ["member"]} | entry],
    }


class Pair:
    """An image service that is kept, and the service that imports for it."""

    def __init__(self, folder: Path, origin: Origin, **target: Any) -> None:
        (folder / "kept").mkdir()
        (folder / "ours").mkdir()
        self.kept = Running(folder / "kept", origin, auth=holder())
        self._folder, self._origin, self._target = folder / "ours", origin, target
        self.ours: Running

    async def __aenter__(self) -> Self:
        await self.kept.__aenter__()
        target = {"url": self.kept.base, "poll_seconds": 0.02, **self._target}
        self.ours = Running(self._folder, self._origin, target=target)
        await self.ours.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
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


class Lab:
    """The service, importing for an image service of the test's making."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.kept = Kept()
        self.glance = Origin({"*": self.kept})
        self.origin = Origin({"/x": behaviours.serve(DATA, etag='"1"')})
        self._folder, self._sections = folder, sections

    async def __aenter__(self) -> Self:
        await self.glance.__aenter__()
        await self.origin.__aenter__()
        self.service = self.make()
        await self.service.__aenter__()
        return self

    def make(self) -> Running:
        """The service in its folder; a second one takes up what the first left."""
        target = {"url": self.glance.url(""), "poll_seconds": 0.01, "undo_seconds": 1.0}
        target |= self._sections.get("target", {})
        others = {name: keys for name, keys in self._sections.items() if name != "target"}
        return Running(self._folder, self.origin, target=target, **others)

    async def __aexit__(self, *exc: object) -> None:
        await self.service.__aexit__(*exc)
        await self.origin.__aexit__(*exc)
        await self.glance.__aexit__(*exc)

    async def submit(self, **fields: Any) -> dict[str, Any]:
        body = {"url": self.origin.url("/x"), "disk_format": "raw"} | fields
        status, made, _headers = await self.service.call("POST", "/imports", json=body, headers=TOKEN)
        assert status == 202, made
        return dict(made)

    async def run(self, **fields: Any) -> dict[str, Any]:
        return await self.service.ended((await self.submit(**fields))["id"])
