"""The operator's egress proxy: explicit, and the change of trust that comes with it."""

import socket
from pathlib import Path

import pytest

from fetcher.config import BadConfig
from fetcher.errors import AddressForbidden, ConnectFailed
from fetcher.transport import Gate, SourceRequest
from tests.lab import Canary, FakeNames, Origin, lab_settings
from tests.lab.behaviours import redirect, serve
from tests.lab.certificates import HOST, Authorities
from tests.lab.proxy import Proxy
from tests.transport.attack import attack

DATA = bytes(range(256)) * 4096


async def test_http_goes_through_the_proxy() -> None:
    """The whole URL is asked of the proxy; the name is its to resolve."""
    async with Origin({"*": serve(DATA)}) as origin, Proxy(("127.0.0.1", origin.port)) as proxy:
        names = FakeNames({})
        settings = lab_settings(egress={"proxy": proxy.url})
        outcome = await attack("http://a.example/x?y=1", settings, Gate(names))
    assert outcome.body == DATA
    assert proxy.heads[0].startswith("GET http://a.example/x?y=1 HTTP/1.1\r\n")
    assert not names.asked
    assert outcome.hops[0].port == proxy.port


async def test_https_goes_through_a_tunnel(tmp_path: Path) -> None:
    """The certificate is the source's, checked by us: the proxy sees nothing but a host and a port."""
    authorities = Authorities()
    source = Origin({"/x": serve(DATA)}, tls=authorities.good())
    async with source as origin, Proxy(("127.0.0.1", origin.port)) as proxy:
        settings = lab_settings(egress={"proxy": proxy.url}, tls=authorities.trusted(tmp_path))
        request = SourceRequest(url=f"https://{HOST}/x?secret", headers={"Authorization": "secret"})
        outcome = await attack(request, settings, Gate(FakeNames({})))
    assert outcome.body == DATA
    assert proxy.heads == [f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n"]
    assert outcome.hops[0].tls is not None


async def test_tunnel_to_an_impostor_is_refused(tmp_path: Path) -> None:
    """A proxy that leads elsewhere cannot pose as the source."""
    authorities = Authorities()
    impostor = Origin({"/x": serve(DATA)}, tls=authorities.good("evil.example"))
    async with impostor as origin, Proxy(("127.0.0.1", origin.port)) as proxy:
        settings = lab_settings(egress={"proxy": proxy.url}, tls=authorities.trusted(tmp_path))
        outcome = await attack(f"https://{HOST}/x", settings, Gate(FakeNames({})))
    assert outcome.code == "tls-failed"
    assert not origin.requests


@pytest.mark.parametrize(
    "says",
    [
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nSECRET",
        b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\n\r\n",
        b"HTTP/1.1 502 Bad\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nSECRET",
        b"SSH-2.0-SECRET\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/2 200\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\n" + b"X: SECRET\r\n" * 2000 + b"\r\n",
    ],
)
async def test_tunnel_that_does_not_come_about_is_told_like_any_other_failure(says: bytes) -> None:
    """What the proxy says is for the operator."""
    async with Proxy(("127.0.0.1", 1), says=says) as proxy:
        settings = lab_settings(egress={"proxy": proxy.url})
        outcome = await attack("https://a.example/", settings, Gate(FakeNames({})))
    assert isinstance(outcome.failure, ConnectFailed)
    assert "SECRET" not in outcome.told
    assert "SECRET" not in str(outcome.failure)


async def test_proxy_that_is_down_is_told_like_any_other_failure() -> None:
    """No way out, no source."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = lab_settings(egress={"proxy": f"http://127.0.0.1:{free.getsockname()[1]}"})
        outcome = await attack("https://a.example/", settings, Gate(FakeNames({})))
    assert isinstance(outcome.failure, ConnectFailed)


async def test_proxy_that_never_answers_ends_with_the_connect_limit() -> None:
    """It has the time of a connection, not of a pull."""
    async with Origin(is_mute=True) as proxy:
        settings = lab_settings(egress={"proxy": proxy.url().rstrip("/")}, pace={"connect_seconds": 0.3})
        outcome = await attack("https://a.example/", settings, Gate(FakeNames({})))
    assert isinstance(outcome.failure, ConnectFailed)
    assert outcome.seconds < 60


async def test_name_of_the_proxy_is_resolved_and_no_rule_binds_it() -> None:
    """The operator's own proxy may live inside."""
    async with Origin({"*": serve(DATA)}) as origin, Proxy(("127.0.0.1", origin.port)) as proxy:
        settings = lab_settings(egress={"proxy": f"http://proxy.corp:{proxy.port}"})
        names = FakeNames({"proxy.corp": ["127.0.0.1"]})
        assert (await attack("http://a.example/x", settings, Gate(names))).body == DATA


async def test_addresses_in_urls_are_judged_though_the_proxy_dials_them() -> None:
    """What can be judged here is: literals, schemes, ports, inner names, redirects."""
    async with Canary("127.0.0.2") as bird, Proxy((bird.host, bird.port)) as proxy:
        settings = lab_settings(egress={"proxy": proxy.url}, url={"allow_literals": True})
        for url in ("http://127.0.0.2/", "http://10.0.0.1/", "https://[::1]/", "http://169.254.169.254/"):
            assert isinstance((await attack(url, settings)).failure, AddressForbidden)
        for url in ("http://localhost/", "http://a.internal/", "ftp://a.example/", "http://a.example:22/"):
            assert (await attack(url, settings)).code == "url-invalid"
        assert bird.accepted == 0
        assert proxy.heads == []


async def test_redirects_through_the_proxy_are_judged() -> None:
    """A source behind the proxy cannot send us inside either."""
    async with (
        Origin({"*": redirect("http://127.0.0.2/")}) as origin,
        Proxy(("127.0.0.1", origin.port)) as proxy,
    ):
        outcome = await attack("http://a.example/x", lab_settings(egress={"proxy": proxy.url}))
    assert outcome.code == "bad-redirect"
    assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    "proxy",
    [
        "https://proxy.example:3128",
        "http://u:p@proxy.example:1",
        "proxy:3128",
        "http://proxy",
        "socks5://a:1",
    ],
)
def test_proxies_of_other_kinds_are_mistakes(proxy: str) -> None:
    """Only what works can be said."""
    with pytest.raises(BadConfig):
        lab_settings(egress={"proxy": proxy})


@pytest.mark.parametrize(
    ("host", "pattern", "is_direct"),
    [
        ("mirror.corp.example", "mirror.corp.example", True),
        ("mirror.corp.example", "corp.example", True),
        ("mirror.corp.example", ".corp.example", True),
        ("mirror.corp.example", "*.CORP.example.", True),
        ("xcorp.example", "corp.example", False),
        ("mirror.example", "corp.example", False),
        ("127.0.0.1", "127.0.0.0/8", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.0/8", False),
        ("127.0.0.1", "0.0.1", False),
    ],
)
async def test_no_proxy_is_reached_directly(host: str, pattern: str, is_direct: bool) -> None:
    """By name with all below it, or by network; the rules of addresses then hold again."""
    async with Origin({"*": serve(DATA)}) as origin, Proxy(("127.0.0.1", origin.port)) as proxy:
        settings = lab_settings(origin, egress={"proxy": proxy.url, "no_proxy": [pattern]})
        gate = Gate(FakeNames({host: ["127.0.0.1"]}))
        outcome = await attack(origin.url("/x", host), settings, gate)
        assert outcome.body == DATA
        assert bool(proxy.heads) is not is_direct


async def test_no_proxy_opens_no_inner_network() -> None:
    """What is reached without the proxy is judged like without one."""
    async with Proxy(("127.0.0.1", 9)) as proxy, Canary("127.0.0.2") as bird:
        settings = lab_settings(
            egress={"proxy": proxy.url, "no_proxy": ["corp.example"]}, url={"ports": [bird.port]}
        )
        gate = Gate(FakeNames({"corp.example": ["127.0.0.2"]}))
        outcome = await attack(f"http://corp.example:{bird.port}/", settings, gate)
        assert isinstance(outcome.failure, AddressForbidden)
        assert (bird.accepted, proxy.heads) == (0, [])
