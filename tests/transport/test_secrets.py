"""What is sent to whom: rows R01 to R09 of the attacks, cookies, credentials and the environment."""

from pathlib import Path

import pytest

from fetcher.errors import AddressForbidden, BadRedirect, InvalidRequest, TooManyRedirects
from fetcher.transport import Gate, SourceRequest
from tests.lab import Canary, FakeNames, Origin, lab_settings
from tests.lab.behaviours import in_turn, redirect, serve
from tests.transport.attack import attack

DATA = b"image" * 1000
SECRET = "Kx7QpSECRETz9"
OWN = {
    "Authorization": f"Bearer {SECRET}",
    "X-Auth-Token": SECRET,
    "Private-Token": SECRET,
    "Cookie": f"a={SECRET}",
}


@pytest.mark.parametrize(
    "place",
    [
        *(
            "http://127.0.0.2:{port}/",
            "http://[::ffff:7f00:2]:{port}/",
            "http://[::1]:{port}/",
            "http://metadata.internal/",
        ),
        *(
            "http://localhost:{port}/",
            "http://0x7f.0.0.2:{port}/",
            "http://2130706434:{port}/",
            "//127.0.0.2:{port}/x",
        ),
        *(
            "http://in.example:{port}/",
            "http://127.0.0.2:{port}#@ok.example/",
            "http://127.1:{port}/",
            "/\\127.0.0.2/",
        ),
        *(
            "http://127.0.0.2\\@ok.example/",
            "http:\\\\127.0.0.2:{port}/",
            "http:/\t/127.0.0.2:{port}/",
            "http://127\u30020\u30020\u30022:{port}/",
        ),
    ],
)
async def test_r01_redirect_into_loopback_is_refused(place: str) -> None:
    """Every hop is judged like a submitted URL; the record tells which hop it was."""
    async with (
        Origin() as origin,
        Canary("127.0.0.2", origin.port) as bird,
        Canary("::1", origin.port) as other,
    ):
        origin.routes["/x"] = redirect(place.format(port=origin.port))
        gate = Gate(FakeNames({"in.example": ["127.0.0.2"]}))
        outcome = await attack(origin.url("/x"), lab_settings(origin), gate)
        assert (bird.accepted, other.accepted) == (0, 0)
    assert isinstance(outcome.failure, BadRedirect | AddressForbidden)
    if isinstance(outcome.failure, BadRedirect):
        assert outcome.failure.hop == 1
    assert outcome.hops[0].status == 302
    assert "127.0.0.2" not in outcome.told
    assert "internal" not in outcome.told


@pytest.mark.parametrize(
    "place",
    [
        "file:///etc/passwd",
        "ftp://a.example/",
        "gopher://a.example/",
        "data:,x",
        "ws://a.example/",
        "javascript:x",
    ],
)
async def test_r02_redirect_to_another_scheme_is_refused(place: str) -> None:
    """A source cannot talk us into another protocol."""
    async with Origin({"/x": redirect(place)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert isinstance(outcome.failure, BadRedirect)
    assert "scheme" in outcome.failure.reason


async def test_r04_redirects_are_limited_and_circles_seen() -> None:
    """Ten hops are followed, eleven are not, and a circle ends at its first repetition."""
    routes = {f"/{number}": redirect(f"/{number + 1}") for number in range(19)} | {"/10": serve(DATA)}
    async with Origin(routes) as origin:
        settings = lab_settings(origin)
        assert (await attack(origin.url("/0"), settings)).body == DATA
        origin.routes["/10"] = redirect("/11")
        outcome = await attack(origin.url("/0"), settings)
        assert isinstance(outcome.failure, TooManyRedirects)
        assert len(outcome.hops) == 11
        origin.routes |= {"/self": redirect("/self"), "/a": redirect("/b"), "/b": redirect("/a#x")}
        for path, hops in (("/self", 1), ("/a", 2)):
            outcome = await attack(origin.url(path), settings)
            assert isinstance(outcome.failure, TooManyRedirects)
            assert len(outcome.hops) == hops


@pytest.mark.parametrize("fields", [{}, {"Location": ""}, {"URI": "/y"}, {"Content-Location": "/y"}])
async def test_r05_redirect_to_nowhere_is_refused(fields: dict[str, str]) -> None:
    """Nor are fields of other names taken for Location."""
    async with Origin({"/x": redirect(None, fields=fields), "/y": serve(DATA)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert isinstance(outcome.failure, BadRedirect)


async def test_r05_two_places_to_go_are_refused() -> None:
    """Which one would be followed is what filters differ on."""

    async def behave(exchange) -> None:
        await exchange.send("HTTP/1.1 302 Found\r\nLocation: /y\r\nLocation: /z\r\nContent-Length: 0\r\n\r\n")

    async with Origin({"/x": behave, "/y": serve(DATA), "/z": serve(DATA)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert isinstance(outcome.failure, BadRedirect)
    assert len(origin.requests) == 1


async def test_r06_secrets_go_to_their_own_origin_alone() -> None:
    """Another host, another port, another scheme: none of the submitter's headers is sent there."""
    async with Origin({"/z": serve(DATA)}) as third, Origin() as second:
        second.routes["/y"] = redirect(third.url("/z", "a.example"))
        async with Origin({"/x": redirect("/x2")}) as first:
            first.routes["/x2"] = redirect(second.url("/y", "a.example"))
            gate = Gate(FakeNames({"a.example": ["127.0.0.1"]}))
            request = SourceRequest(url=first.url("/x", "a.example"), headers=OWN)
            outcome = await attack(request, lab_settings(first, second, third), gate)
    assert outcome.body == DATA
    for request_sent in first.requests:
        assert request_sent.header("Authorization") == OWN["Authorization"]
        assert request_sent.header("X-Auth-Token") == SECRET
    for origin in (second, third):
        assert SECRET not in str(origin.requests)


async def test_r06_secrets_come_back_with_their_origin() -> None:
    """A detour over a login host does not cost the credentials at home."""
    async with Origin() as home, Origin({"/login": redirect("")}) as away:
        away.routes["/login"] = redirect(home.url("/file"))
        home.routes |= {"/x": redirect(away.url("/login")), "/file": serve(DATA)}
        outcome = await attack(SourceRequest(url=home.url("/x"), headers=OWN), lab_settings(home, away))
    assert outcome.body == DATA
    assert home.requests[1].header("Authorization") == OWN["Authorization"]
    assert SECRET not in str(away.requests)


async def test_r08_redirect_with_a_password_is_refused() -> None:
    """No Authorization is made of what a source puts into a URL."""
    async with Origin() as origin:
        origin.routes["/x"] = redirect(f"http://u:{SECRET}@127.0.0.1:{origin.port}/y")
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert isinstance(outcome.failure, BadRedirect)
    assert SECRET not in outcome.told
    assert len(origin.requests) == 1


async def test_r09_cookies_are_not_kept() -> None:
    """What one answer sets, no request sends: neither at the next hop nor at the next pull."""
    fields = {"Set-Cookie": f"a={SECRET}; Path=/"}
    async with Origin({"/x": redirect("/y", fields=fields), "/y": serve(DATA, fields=fields)}) as origin:
        gate = Gate()
        for _ in range(2):
            assert (await attack(origin.url("/x"), lab_settings(origin), gate)).code == "ok"
    assert [request.header("Cookie") for request in origin.requests] == [None] * 4


async def test_secrets_in_the_url_are_recorded_nowhere() -> None:
    """Neither the record of hops nor a failure shows a query's values."""
    async with Origin({"/x": redirect(f"/y?token={SECRET}")}) as origin:
        outcome = await attack(origin.url(f"/x?X-Amz-Signature={SECRET}"), lab_settings(origin))
    assert origin.requests[1].target == f"/y?token={SECRET}"
    assert SECRET not in str(outcome.hops)
    assert SECRET not in str(outcome.failure)
    assert outcome.source is None


async def test_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither proxies nor passwords are taken from the process's surroundings."""
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login u password {SECRET}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with Canary("127.0.0.1") as proxy, Origin({"/x": serve(DATA)}) as origin:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        assert (await attack(origin.url("/x"), lab_settings(origin))).body == DATA
        assert proxy.accepted == 0
    assert origin.requests[0].header("Authorization") is None


async def test_connections_are_not_kept_for_the_next_hop_or_pull() -> None:
    """A connection that was judged once is not used again, even if the source keeps it open."""

    async def kept(exchange) -> None:
        await exchange.send_head(200, {"Content-Length": 3, "Connection": "keep-alive"})
        await exchange.send_body(b"abc")
        await exchange.wait_gone()

    async with Origin({"/x": redirect("/y", fields={"Connection": "keep-alive"}), "/y": kept}) as origin:
        gate = Gate()
        for _ in range(2):
            assert (await attack(origin.url("/x"), lab_settings(origin), gate)).body == b"abc"
            await origin.wait_idle()
    assert origin.connections == 4


async def test_broken_connection_is_not_tried_again_in_secret() -> None:
    """Attempts are counted elsewhere; a library's own second try would double them."""

    async def hang_up(_) -> None:
        return

    async with Origin({"/x": in_turn(hang_up, serve(DATA))}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.code == "connect-failed"
    assert origin.connections == 1


@pytest.mark.parametrize(
    "headers", [{"Host": "a"}, {"X": "a\r\nHost: b"}, {"Range": "bytes=0-"}, {"Metadata-Flavor": "Google"}]
)
async def test_forbidden_headers_end_before_any_look_up(headers: dict[str, str]) -> None:
    """What would change the request itself is refused, whoever calls."""
    names = FakeNames({})
    with pytest.raises(InvalidRequest):
        async with Gate(names).open(
            SourceRequest(url="https://a.example/", headers=headers), lab_settings(), print
        ):
            pass
    assert not names.asked


async def test_request_says_what_it_must() -> None:
    """Identity alone is asked for, and the service says who it is; a submitter may say it otherwise."""
    async with Origin({"/x": serve(DATA)}) as origin:
        await attack(origin.url("/x"), lab_settings(origin))
        await attack(
            SourceRequest(url=origin.url("/x"), headers={"user-agent": "mine"}), lab_settings(origin)
        )
    first, second = origin.requests
    assert first.header("Accept-Encoding") == "identity"
    assert (first.header("User-Agent") or "").startswith("glance-fetcher/")
    assert second.header("User-Agent") == "mine"
    for request in origin.requests:
        names = [name.lower() for name, _ in request.fields]
        assert len(names) == len(set(names))


async def test_weak_validator_binds_no_range() -> None:
    """Bytes of a weakly equal version may differ, so everything is asked for."""
    async with Origin({"/x": serve(DATA, etag='W/"1"')}) as origin:
        outcome = await attack(
            SourceRequest(url=origin.url("/x"), offset=10, if_range='W/"1"'), lab_settings(origin)
        )
    assert outcome.body == DATA
    assert origin.requests[0].header("Range") is None


@pytest.mark.parametrize("validator", ['"a"\r\nHost: b', "\x00", "\u00e9", ""])
async def test_validators_cannot_smuggle(validator: str) -> None:
    """A validator came from a source once; it goes back in its strict form or not at all."""
    async with Origin({"/x": serve(DATA)}) as origin:
        request = SourceRequest(url=origin.url("/x"), if_none_match=validator, if_modified_since=validator)
        assert (await attack(request, lab_settings(origin))).body == DATA
    assert origin.requests[0].header("If-None-Match") is None
    assert origin.requests[0].header("If-Modified-Since") is None
