"""A source scheme is one file and one registration; nothing else in the service knows it by name."""

from pathlib import Path

import msgspec
import pytest

from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.schemes import registry
from fetcher.importer.schemes.pasted import tidied
from fetcher.importer.schemes.scheme import SourceScheme
from fetcher.model import Submission
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(5000)


async def test_a_toy_scheme_works_from_discovery_to_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registered, it is published, its URLs are imported and shown as submitted, and other schemes stay."""
    routes = {"/shelf/disk": behaviours.serve(BODY)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:

        def take(submission: Submission, urls: CheckedUrls) -> Submission:
            url = origin.url(submission.url.removeprefix("shelf:/"))
            return tidied(msgspec.structs.replace(submission, url=url), urls)

        toy = SourceScheme(names=("shelf",), form="shelf://NAME", is_enabled=lambda _: True, take=take)
        status, problem, _headers = await service.call("POST", "/imports", json={"url": "shelf://shelf/disk"})
        assert (status, problem["code"]) == (400, "url-invalid")
        monkeypatch.setattr(registry, "SCHEMES", [*registry.SCHEMES, toy])
        schemes = (await service.get("/limits"))["limits"]["source_schemes"]["value"]
        assert {"https", "shelf"} <= set(schemes)
        ended = await service.run(url="shelf://shelf/disk")
        assert (ended["state"], ended["url"]) == ("succeeded", "shelf://shelf/disk")
        assert [request.path for request in origin.requests] == ["/shelf/disk"]
