"""What makes two imports one pull, and what is kept of a submission in the open."""

import msgspec
import pytest

from fetcher.config import load_settings
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.records.requests import fingerprint, plain_request, secrets_of, shown, sums_request
from fetcher.index.values import Secrets
from fetcher.model import Digest, Submission

URL = "https://a.example/x.img?sig=hush"
WHOLE = Submission(
    url=URL,
    max_bytes=10,
    headers={"Authorization": "Bearer hush"},
    mirrors=("https://b.example/x.img?sig=hush",),
    checksum_url="https://a.example/SHA256SUMS?sig=hush",
    checksum_signature_url="https://c.example/SHA256SUMS.gpg?sig=hush",
)
NONE = CheckedUrls(load_settings())  # Nothing has been judged yet.


def of(submission: Submission) -> str:
    return fingerprint(secrets_of(submission), shown(submission, NONE), load_settings(), "a")


@pytest.mark.parametrize(
    "changes",
    [
        {"url": URL + "x"},
        {"headers": {"Authorization": "Bearer other"}},
        {"headers": {}},
        {"mirrors": ()},
        {"checksum_url": None},
        {"checksum_signature_url": None},
        {"disk_format": "raw"},
        {"container_format": "bare"},
        {"max_bytes": 9},
        {"disk": "2"},
        {"checksum": Digest(algorithm="sha1", value="0" * 40)},
    ],
)
def test_only_equal_requests_share(changes: dict[str, object]) -> None:
    """Whoever knows other secrets, or claims something else of the bytes, gets a pull of their own."""
    assert of(msgspec.structs.replace(WHOLE, **changes)) != of(WHOLE)


def test_each_promises_its_own_digest() -> None:
    """Names, tags and digests differ from import to import of one pull."""
    changes = {"name": "n", "tags": ("t",), "checksum": Digest(algorithm="sha256", value="0" * 64)}
    assert of(msgspec.structs.replace(WHOLE, **changes)) == of(WHOLE)


def test_nothing_secret_is_shown() -> None:
    """Neither queries nor the values of headers; the names of headers are."""
    open_form = shown(WHOLE, NONE)
    assert "hush" not in str(open_form)
    assert list(open_form.headers) == ["Authorization"]


def test_only_urls_without_secrets_are_remembered() -> None:
    """A permission that was in a query or a header is forgotten with the import."""
    settings, plain = load_settings(), Submission(url="", max_bytes=1)
    open_url = Secrets(url="https://a.example/x")
    assert plain_request(open_url, plain, settings) is not None
    assert plain_request(Secrets(url=URL), plain, settings) is None
    assert plain_request(Secrets(url="https://a.example/x", headers={"X": "y"}), plain, settings) is None
    packed = msgspec.structs.replace(plain, container_format="compressed")
    assert plain_request(open_url, packed, settings) != plain_request(open_url, plain, settings)


def test_headers_go_to_their_own_origin_alone() -> None:
    """A checksum file elsewhere is asked for without the image's credentials."""
    home = sums_request(secrets_of(WHOLE), CheckedUrls(load_settings()), "p")
    assert home is not None
    assert (home.file.headers, home.name) == (WHOLE.headers, "x.img")
    moved = msgspec.structs.replace(WHOLE, checksum_url="https://b.example/SUMS")
    away = sums_request(secrets_of(moved), CheckedUrls(load_settings()), "p")
    assert away is not None
    assert away.file.headers == {}
    assert home.signature is not None
    assert home.signature.headers == {}


def test_a_url_is_shown_alike_once_it_has_passed() -> None:
    """A URL is shown as it was typed, redacted, in whatever form it has passed."""
    urls = CheckedUrls(load_settings())
    for url in (URL, "HTTPS://A.example:443/x.img?sig=hush"):
        plain = msgspec.structs.replace(WHOLE, url=url)
        before = shown(plain, NONE)
        urls.check(url)
        assert shown(plain, urls) == before
