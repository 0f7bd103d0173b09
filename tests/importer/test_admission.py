"""Submissions at the door: what is judged there is not judged again on the way to the source."""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

from fetcher.config import load_settings
from fetcher.errors import InvalidUrl
from fetcher.guards.request.url import CheckedUrls, check_url
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(1000)
SUMS = f"{hashlib.sha256(BODY).hexdigest()}  x\n".encode()
URL = "https://a.example/x.img"


@contextmanager
def judged_urls() -> Iterator[Counter[str]]:
    """Count how often each URL is judged in this thread, whoever does it."""
    counts: Counter[str] = Counter()

    def see(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code is check_url.__code__:
            counts[frame.f_locals["raw"]] += 1

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        yield counts
    finally:
        sys.setprofile(before)


async def test_each_url_and_each_hop_is_judged_once(tmp_path: Path) -> None:
    """From the submission through the queue to the connection, and where a redirect leads."""
    routes = {
        "/x": behaviours.redirect("/y"),
        "/y": behaviours.serve(BODY),
        "/SUMS": behaviours.serve(SUMS),
    }
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        asked = {"url": origin.url("/x"), "checksum_url": origin.url("/SUMS"), "mirrors": [origin.url("/m")]}
        with judged_urls() as counts:
            ended = await service.run(**asked)
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "sums")
        assert counts == {origin.url(path): 1 for path in ("/x", "/y", "/SUMS", "/m")}


def test_a_url_is_judged_anew_by_new_rules() -> None:
    """What passed under the settings of its submission may be refused by those under which it is asked."""
    settings = load_settings()
    rules = msgspec.structs.replace(settings.url, max_url_bytes=10)
    strict = msgspec.structs.replace(settings, url=rules)
    urls = CheckedUrls(settings)
    assert urls.check(URL) is urls.under(settings).check(URL)
    with pytest.raises(InvalidUrl, match="longer"):
        urls.under(strict).check(URL)
