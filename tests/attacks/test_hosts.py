"""Group I: whom a request says it is meant for (DNS rebinding)."""

from pathlib import Path

import pytest

from fetcher.api.hosts import is_for_us
from fetcher.config import load_settings
from tests.service import Running

PUBLIC = {"server": {"public_url": "http://glance.company.test"}}


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [b""],
        [b"g"],
        [b"glance.co"],
        [b"glance.company.test.evil.test"],
        [b"evil.glance.company.test"],
        [b"glance.company.test:8080"],
        [b"glance.company.test@evil.test"],
        [b"evil.test"],
        [b"evil.test:127.0.0.1"],
        [b"127.0.0.1.evil.test"],
        [b"localhost.evil.test"],
        [b"127.0.0.1", b"127.0.0.1"],
        [b"127.0.0.1, evil.test"],
        [b"127.0.0.1 "],
        [b"127.0.0.1:99999"],
        [b"127.0.0.1:"],
        [b"[::1"],
        [b"::1"],
        [b"%6cocalhost"],
        [b"0.0.0.0"],
        [b"10.0.0.1"],
        [b"\xff"],
        [b"localhost/"],
    ],
)
def test_i10_a_host_that_is_not_ours_is_refused(fields: list[bytes]) -> None:
    """Whole authorities are compared, and there is exactly one."""
    assert not is_for_us(fields, load_settings(None, PUBLIC))


@pytest.mark.parametrize(
    "field",
    [
        b"glance.company.test",
        b"GLANCE.company.test",
        b"glance.company.test.",
        b"glance.company.test:80",
        b"localhost",
        b"LOCALHOST:9292",
        b"127.0.0.1:9292",
        b"127.1.2.3",
        b"[::1]:9292",
    ],
)
def test_i10_loopback_and_the_public_url_are_ours(field: bytes) -> None:
    """What an honest client sends is taken, with the usual port said or not."""
    assert is_for_us([field], load_settings(None, PUBLIC))


@pytest.mark.parametrize("host", ["evil.test", "", "127.0.0.1.evil.test"])
async def test_i10_a_page_that_points_its_name_at_loopback_gets_nothing(tmp_path: Path, host: str) -> None:
    """The request is refused before anybody acts on it."""
    async with Running(tmp_path) as service:
        status, document, _headers = await service.call("GET", "/imports", headers={"Host": host})
        assert (status, document["code"], document["field"]) == (400, "request-invalid", "Host")
