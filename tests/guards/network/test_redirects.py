"""Where a redirect may lead: rows R01 to R05 of the attacks, as far as they need no network."""

from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.config import load_settings
from fetcher.errors import BadRedirect, InvalidUrl, TooManyRedirects
from fetcher.guards.network.redirects import REDIRECTS, check_redirect, limits, next_location, resolve
from fetcher.guards.request.url import check_url

SETTINGS = load_settings()
BASE = "http://a/b/c/d;p?q"


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        # RFC 3986 section 5.4.1, normal examples; fragments are cut before.
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        # Section 5.4.2, abnormal ones.
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y/./x"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("http:g", "http:g"),
    ],
)
def test_r05_references_resolve_as_the_standard_says(reference: str, wanted: str) -> None:
    """What a source means by a relative place is not left to guessing."""
    assert resolve(BASE, reference) == wanted


PATHS = st.lists(st.sampled_from("a b . .. ..a %2e x;y".split()), max_size=6).map("/".join)  # noqa: SIM905 - as text


@given(
    reference=st.builds(
        lambda slash, path, query: slash + path + query,
        st.sampled_from(["", "/"]),
        PATHS,
        st.sampled_from(["", "?q", "?a/../b"]),
    )
)
def test_r05_resolution_agrees_with_another_library(reference: str) -> None:
    """A second opinion on plain references."""
    if "//" in reference or not reference:
        return
    assert resolve("http://a.example/x/y/z", reference) == urljoin("http://a.example/x/y/z", reference)


@given(location=st.text(max_size=60))
def test_any_location_is_a_url_or_a_refusal(location: str) -> None:
    """Whatever a source sends, nothing else than the table's errors comes of it."""
    try:
        found = next_location([location], "https://a.example/x", 1, SETTINGS)
    except BadRedirect:
        return
    assert ":" in found


@pytest.mark.parametrize(
    "locations", [[], [""], [" "], ["#x"], ["/a", "/b"], ["/a", "/a"], ["", "/a"], ["/" + "a" * 9000]]
)
def test_r05_one_place_to_go_or_none_at_all(locations: list[str]) -> None:
    """No Location, an empty one or two of them is no redirect that we follow."""
    with pytest.raises(BadRedirect) as caught:
        next_location(locations, "https://a.example/x", 3, SETTINGS)
    assert caught.value.hop == 3
    assert caught.value.reason.startswith(("it names", "the place it names"))


@pytest.mark.parametrize(
    "location", ["//evil.example/x", "/\\evil.example/x", "\\\\evil.example", "http:evil.example"]
)
def test_r05_trick_references_are_left_for_the_url_check(location: str) -> None:
    """A reference changes the host only in the open; tricks stay in the text for `check_url` to refuse."""
    found = next_location([location], "https://a.example/x", 1, SETTINGS)
    assert found == "https://evil.example/x" or "\\" in found or found == "http:evil.example"


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        ("/my image.qcow2?a=b c", "https://a.example/my%20image.qcow2?a=b%20c"),
        (" https://b.example/x y ", "https://b.example/x%20y"),
        ("/caf\udce9.img", "https://a.example/caf%E9.img"),
        ("/a%20b c", "https://a.example/a%20b%20c"),
    ],
)
def test_what_servers_forget_to_escape_is_escaped(location: str, wanted: str) -> None:
    """Blanks and bytes of other character sets, as every client does it."""
    found = next_location([location], "https://a.example/x", 1, SETTINGS)
    assert found == wanted
    assert check_url(found, SETTINGS).text == wanted


@pytest.mark.parametrize(
    "location", ["https://b .example/x", "https://b\udce9.example/", "https: //b.example/"]
)
def test_r05_blank_in_a_host_is_no_blank_in_a_path(location: str) -> None:
    """Only what cannot change where we go is escaped."""
    with pytest.raises(InvalidUrl):
        check_url(next_location([location], "https://a.example/x", 1, SETTINGS), SETTINGS)


def test_r04_redirects_are_counted() -> None:
    """Ten are followed, the eleventh is one too many."""
    assert next_location(["/y"], "https://a.example/x", 10, SETTINGS) == "https://a.example/y"
    with pytest.raises(TooManyRedirects) as caught:
        next_location(["/y"], "https://a.example/x", 11, SETTINGS)
    assert caught.value.max_redirects == 10


def test_r04_circles_are_seen() -> None:
    """Whoever sends us back would do so for ever."""
    chain = ["https://a.example/1", "https://a.example/2"]
    check_redirect("https://a.example/3", chain, SETTINGS)
    for place in chain:
        with pytest.raises(TooManyRedirects):
            check_redirect(place, chain, SETTINGS)


def test_r03_encryption_is_not_given_up() -> None:
    """From https to http is refused unless the operator allows it; the way up is free."""
    allowed = load_settings(changes={"redirects": {"allow_downgrade": True}})
    with pytest.raises(BadRedirect) as caught:
        check_redirect("http://a.example/", ["https://a.example/"], SETTINGS)
    assert caught.value.hop == 1
    check_redirect("http://a.example/", ["https://a.example/"], allowed)
    check_redirect("https://a.example/", ["http://a.example/"], SETTINGS)


def test_r03_encryption_may_be_given_up_where_a_digest_will_tell() -> None:
    """The submitter's digest finds changed bytes out; the operator may forbid it all the same."""
    strict = load_settings(changes={"redirects": {"allow_promised_downgrade": False}})
    check_redirect("http://a.example/", ["https://a.example/"], SETTINGS, expects_digest=True)
    with pytest.raises(BadRedirect, match=r"to http\.$"):
        check_redirect("http://a.example/", ["https://a.example/"], strict, expects_digest=True)
    with pytest.raises(BadRedirect, match="give a checksum"):
        check_redirect("http://a.example/", ["https://a.example/"], SETTINGS)


def test_r03_detour_over_http_is_no_way_around() -> None:
    """Only the last step counts: http to https and back to http is a downgrade."""
    with pytest.raises(BadRedirect):
        check_redirect("http://c.example/", ["http://a.example/", "https://b.example/"], SETTINGS)


def test_r11_other_statuses_are_no_redirects() -> None:
    """300, 304, 305 and 306 lead nowhere."""
    assert frozenset({301, 302, 303, 307, 308}) == REDIRECTS


def test_limits_are_published() -> None:
    """What is enforced is what is told."""
    assert {limit.name: limit.value for limit in limits(SETTINGS)} == {
        "max_redirects": 10,
        "redirect_downgrade_allowed": False,
        "promised_redirect_downgrade_allowed": True,
    }
