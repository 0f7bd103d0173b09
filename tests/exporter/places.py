"""A service with one image that may be sent to servers on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.exporter.test_put import QUICK
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


class Place(Protocol):
    """Somewhere on loopback."""

    host: str
    port: int


@asynccontextmanager
async def image_for(
    folder: Path, body: bytes, *receivers: Place, sections: dict[str, Any] | None = None, **exports: Any
) -> AsyncIterator[tuple[Running, str]]:
    """Run a service over a folder whose image has these bytes."""
    async with Origin({"/d": behaviours.serve(body)}) as origin:
        service = sender(folder, *receivers, origin, sections=sections, **exports)
        async with service:
            found = await service.get("/v2/images")
            if found["images"]:
                yield service, found["images"][0]["id"]
                return
            kind = "qcow2" if body.startswith(b"QFI") else "raw"
            ended = await service.run(url=origin.url("/d"), disk_format=kind)
            assert ended["state"] == "succeeded", ended
            yield service, ended["image_id"]


def sender(folder: Path, *places: Place, sections: dict[str, Any] | None = None, **exports: Any) -> Running:
    """Return a service that may send to places and reach them."""
    rules = {"receivers": sorted({place.host for place in places}), **QUICK, **exports}
    allowed = [{"cidr": f"{place.host}/32", "ports": [place.port]} for place in places]
    return Running(folder, exports=rules, address={"allow": allowed}, **(sections or {}))
