"""Row M24: uploads that do not fit on a disk that is really full in their middle."""

import asyncio
import io
from pathlib import Path

from tests.attacks.test_machine_room import small  # noqa: F401 - a fixture
from tests.images import raw
from tests.service import Running
from tests.test_crash import agree

BODY = raw(24 << 20, seed=7)
WANTED = {"disk_format": "raw", "container_format": "bare"}


async def upload(service: Running, number: int) -> tuple[str, int, str]:
    """Send a body of a length that is said, or in chunks; return the image, and how that ended."""
    body = BODY[:-1] + bytes([number])

    async def pieces() -> object:
        for begin in range(0, len(body), 1 << 20):
            yield body[begin : begin + (1 << 20)]

    image = str((await service.call("POST", "/v2/images", json=WANTED))[1]["id"])
    status, document, _headers = await service.call(
        "PUT",
        f"/v2/images/{image}/file",
        data=io.BytesIO(body) if number % 2 else pieces(),
        headers={"Content-Type": "application/octet-stream"},
    )
    return image, status, document["error"]["type"] if status >= 400 else ""


async def test_m24_uploads_that_fill_the_disk(small: Path) -> None:  # noqa: F811 - the fixture
    """Those that fit are images, the others hear that there is no room; nothing of them is left."""
    async with Running(small) as service:
        ended = await asyncio.gather(*(upload(service, number) for number in range(4)))
        fit = [image for image, status, _code in ended if status == 204]
        assert {code for _image, status, code in ended if status != 204} == {"store-full"}
        assert len(service.traces()) == len(fit) < 4
        for image, _status, _code in ended:
            assert (await service.get(f"/v2/images/{image}"))["status"] == (
                "active" if image in fit else "queued"
            )
        for image, _status, _code in ended:
            assert (await service.call("DELETE", f"/v2/images/{image}"))[0] == 204
        assert service.traces() == []
        assert (await upload(service, 1))[1] == 204
        assert (await service.call("GET", "/readyz"))[0] == 200
    agree(service.data)
