"""Origins of many URLs: what one authority was judged to be holds for all of its URLs."""

import pytest

from fetcher.config import load_settings
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer import tickets
from fetcher.importer.admission import origin_of
from fetcher.importer.tickets import Origins

SETTINGS = load_settings()
URLS = [
    "https://a.example/x",
    "https://a.example/y?z=1",
    "https://a.example",
    "https://a.example?z",
    "HTTPS://A.example:443/x",
    "http://a.example/x",
    "https://b.example:443/x",
    "https://a.example.:443/x",
    "https://bücher.example/x",
    "https://u:secret@a.example/x",
    "https://a.example:99999/x",
    "https://10.0.0.1/x",
    "https:///x",
    "s3://bucket/key",
    "file:///etc/passwd",
    "no URL",
    "",
]


def test_an_origin_is_the_one_that_the_whole_url_has() -> None:
    """For every URL that is accepted, and for those whose authority is not."""
    origins = Origins(SETTINGS)
    assert [origins.of(url) for url in URLS] == [origin_of(url, CheckedUrls(SETTINGS)) for url in URLS]
    assert len({*map(origins.of, URLS)}) == 5


def test_an_authority_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand imports from one host cost one judgement, also where it is refused."""
    judged: list[str] = []

    def note(url: str, urls: CheckedUrls) -> str:
        judged.append(url)
        return origin_of(url, urls)

    monkeypatch.setattr(tickets, "origin_of", note)
    origins = Origins(SETTINGS)
    for number in range(100):
        origins.of(f"https://a.example/{number}")
        origins.of(f"https://u:secret@a.example/{number}")
    assert judged == ["https://a.example", "https://u:secret@a.example"]
