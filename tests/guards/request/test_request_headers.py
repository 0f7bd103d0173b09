"""Headers that a submitter may send to their source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.config import load_settings
from fetcher.errors import InvalidRequest
from fetcher.guards.request.request_headers import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    check_request_headers,
    limits,
)
from tests.lab import words

SECRET = "Kx7QpSECRETz9"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {SECRET}"},
        {
            "Authorization": "Basic dTpw",
            "X-Auth-Token": SECRET,
            "Private-Token": SECRET,
            "Cookie": "a=b; c=d",
        },
        {"Accept": "application/octet-stream", "User-Agent": "mine/1.0", "X-Empty": ""},
    ],
)
def test_what_sources_ask_for_may_be_sent(headers: dict[str, str]) -> None:
    """Tokens, Basic credentials, cookies and content negotiation."""
    check_request_headers(headers)


@pytest.mark.parametrize(
    "name",
    words(
        """
        Host HOST Content-Length Transfer-Encoding Range If-Range If-None-Match If-Modified-Since
        Accept-Encoding Connection Keep-Alive TE Trailer Upgrade Expect Proxy-Authorization proxy-connection
        Via Forwarded X-Forwarded-For Content-Type Date Want-Repr-Digest HTTP2-Settings
        """
    ),
)
def test_headers_of_the_service_itself_are_refused(name: str) -> None:
    """Framing, ranges, codings and the connection are not the submitter's to say."""
    with pytest.raises(InvalidRequest):
        check_request_headers({name: "x"})


@pytest.mark.parametrize(
    "name", words("Metadata Metadata-Flavor X-aws-ec2-metadata-token X-AWS-EC2-Metadata-Token-TTL-Seconds")
)
def test_headers_that_open_metadata_services_are_refused(name: str) -> None:
    """They serve nothing else, so nobody needs them here."""
    with pytest.raises(InvalidRequest):
        check_request_headers({name: "Google"})


@pytest.mark.parametrize(
    "name", ["", "X Y", "X:", "X\r\n", "X\nHost", "\u00e9", "X\x00", "X" * 200, "(X)", 'X"']
)
def test_names_that_are_none_are_refused(name: str) -> None:
    """A name cannot carry a second header."""
    with pytest.raises(InvalidRequest):
        check_request_headers({name: "x"})


@pytest.mark.parametrize(
    "value",
    ["a\r\nHost: b", "a\nb", "a\rb", "\x00", "\u00e9", " a", "a ", "\ta", "a\x7f", "a\x85b", "\ud800"],
)
def test_values_that_smuggle_are_refused(value: str) -> None:
    """A value cannot end its line; and the error does not repeat it."""
    with pytest.raises(InvalidRequest) as caught:
        check_request_headers({"X-Token": value.replace("a", SECRET)})
    assert SECRET not in caught.value.reason


def test_one_header_has_one_value() -> None:
    """Which of two would be sent is not left to chance."""
    with pytest.raises(InvalidRequest):
        check_request_headers({"X-Token": "a", "x-token": "b"})


def test_number_and_size_are_limited() -> None:
    """At the limits they pass, one past them they fail."""
    check_request_headers({f"X-{number}": "v" for number in range(MAX_HEADERS)})
    with pytest.raises(InvalidRequest):
        check_request_headers({f"X-{number}": "v" for number in range(MAX_HEADERS + 1)})
    check_request_headers({"X": "v" * (MAX_HEADER_BYTES - 1)})
    with pytest.raises(InvalidRequest):
        check_request_headers({"X": "v" * MAX_HEADER_BYTES})


@given(headers=st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=4))
def test_what_passes_is_one_line_each(headers: dict[str, str]) -> None:
    """Whatever passes is ASCII without controls, so a request stays one request."""
    try:
        check_request_headers(headers)
    except InvalidRequest:
        return
    for name, value in headers.items():
        assert f"{name}: {value}".isascii()
        assert all(" " <= letter <= "~" or letter == "\t" for letter in name + value)


def test_limits_are_published() -> None:
    """What is enforced is what is told."""
    told = {limit.name: limit.value for limit in limits(load_settings())}
    assert told == {
        "max_request_headers": 32,
        "max_request_header_bytes": 8192,
        "client_certificates_allowed": False,
        "max_ca_pem_bytes": 16_384,
    }
