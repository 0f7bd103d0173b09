"""Bodies whose end cannot be told from a broken connection: row M09 of the attacks."""

import hashlib
from pathlib import Path

import pytest

from tests.images import raw
from tests.lab import Origin, behaviours
from tests.lab.origin import Exchange
from tests.service import Running

BODY = raw(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


async def until_closed(exchange: Exchange) -> None:
    """Answer as HTTP/1.0 did: the body ends where the connection does."""
    await exchange.send("HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n", BODY)


async def test_m09_a_body_without_a_length_is_marked(tmp_path: Path) -> None:
    """It stands in the import, in the provenance, in the image and on the page; a known length is none."""
    routes = {"/old": until_closed, "/new": behaviours.serve(BODY)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        for path, is_verified in (("/old", False), ("/new", True)):
            ended = await service.run(url=origin.url(path))
            assert (ended["state"], ended["length_verified"]) == ("succeeded", is_verified)
            story = await service.get(f"/imports/{ended['id']}/provenance")
            assert story["length_verified"] is is_verified
            image = await service.get(f"/v2/images/{ended['image_id']}")
            assert image.get("length_verified") == (None if is_verified else "false")
            for page in (f"/page/imports/{ended['id']}", f"/page/images/{ended['image_id']}"):
                async with service.client.get(page) as answer:
                    assert ("may be incomplete" in await answer.text()) != is_verified


@pytest.mark.parametrize("is_promised", [True, False])
async def test_m09_the_operator_may_refuse_it_unless_a_digest_was_promised(
    is_promised: bool, tmp_path: Path
) -> None:
    """With `size.require_length`, only a digest makes up for the length; a refusal leaves no trace."""
    rules = {"require_length": True}
    async with Origin({"/old": until_closed}) as origin, Running(tmp_path, origin, size=rules) as service:
        checksum = {"checksum": f"sha256:{SHA256}"} if is_promised else {}
        ended = await service.run(url=origin.url("/old"), **checksum)
        expected = ("succeeded", "ok") if is_promised else ("refused", "length-unknown")
        assert (ended["state"], ended["verdict"]["code"]) == expected
        assert len(service.traces()) == int(is_promised)
