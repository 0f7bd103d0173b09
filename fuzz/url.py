"""A URL that passes means one host, port and path to every parser, is public by name, and shows no secret."""

from urllib.parse import urlsplit

from yarl import URL

from fetcher.config import load_settings
from fetcher.errors import BadRedirect, InvalidUrl, TooManyRedirects
from fetcher.guards.network.redirects import next_location
from fetcher.guards.request.url import check_url, redact_url
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.guards", "idna", "yarl"]
SETTINGS = (
    load_settings(),
    load_settings(changes={"url": {"allow_literals": True}}),
    load_settings(changes={"address": {"allow": [{"cidr": "127.0.0.0/8", "ports": [8080]}]}}),
)
TOKENS = (
    *(
        "http",
        "https",
        "://",
        ":",
        "//",
        "/",
        "?",
        "#",
        "@",
        "[",
        "]",
        "%",
        "%2e",
        "%00",
        "%25",
        ".",
        "..",
        "a",
    ),
    *(
        "b.example",
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "80",
        "443",
        "8080",
        "0x7f",
        "1",
        "-",
        "_",
        "xn--",
    ),
    *(
        "\\",
        "&",
        "=",
        "+",
        ";",
        "localhost",
        "\t",
        "\u00fc",
        "\u3002",
        "\uff0e",
        "\u2460",
        "\u00df",
        "sig=",
        "bcher-kva",
    ),
)
SECRET = "Kx7QpZ9"


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    settings = choices.pick(SETTINGS)
    if choices.number(2):
        raw = choices.pick(("", "http://", "https://", "http://a.example/")) + choices.some(TOKENS)
    else:
        raw = choices.raw(len(seed)).rstrip(b"\0").decode("utf-8", "surrogateescape")
    _check_redaction(raw)
    try:
        checked = check_url(raw, settings)
    except InvalidUrl as error:
        assert not any(part in error.reason for part in raw.split("/") if len(part) > 8)
        return
    dialled, other = URL(checked.text, encoded=True), urlsplit(checked.text)
    assert (dialled.raw_host, dialled.port, dialled.scheme) == (checked.host, checked.port, checked.scheme)
    assert (other.hostname, other.port or {"http": 80, "https": 443}[other.scheme]) == (
        checked.host,
        checked.port,
    )
    assert dialled.user is None
    assert other.username is None
    assert checked.text.isascii()
    assert checked.text.isprintable()
    assert check_url(checked.text, settings) == checked
    _check_redirects(checked.text, choices.some(TOKENS))


def _check_redaction(raw: str) -> None:
    for hidden in (f"{raw}?x={SECRET}", f"https://u:{SECRET}@{raw}"):
        shown = redact_url(hidden)
        assert shown.isascii()
        assert shown.isprintable()
        assert "?" in raw or "#" in raw or "\\" in raw or "/" in raw or SECRET not in shown, shown


def _check_redirects(base: str, location: str) -> None:
    try:
        found = next_location([location], base, 1, SETTINGS[0])
    except (BadRedirect, TooManyRedirects):
        return
    assert "#" not in found
    assert ":" in found
