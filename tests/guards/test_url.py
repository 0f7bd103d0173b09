"""Which URLs may be submitted."""

import pytest

from fetcher.config import load_settings
from fetcher.errors import InvalidUrl
from fetcher.guards.url import check_url

SETTINGS = load_settings()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("https://a.example", "https://a.example/"),
        ("HtTpS://A.Example.:443/X?", "https://a.example/X"),
        ("http://a.example:80/x%7E%2fy?a=%20+b", "http://a.example/x%7E%2fy?a=%20+b"),
    ],
)
def test_u02_good_urls_are_kept_in_one_form(raw: str, text: str) -> None:
    """Scheme and host are normalised; what a signature may cover is not touched."""
    assert check_url(raw, SETTINGS).text == text


@pytest.mark.parametrize("raw", ["file:///etc/passwd", "ftp://a.example/", "data:,x", "//a.example/x", ""])
def test_u01_other_schemes_are_refused(raw: str) -> None:
    """Nothing but https and http is fetched."""
    with pytest.raises(InvalidUrl) as caught:
        check_url(raw, SETTINGS)
    assert caught.value.rule == "scheme"
