"""https: row H14 of the attacks, what is recorded of the peer, and the end of a body under pressure."""

import asyncio
import ssl
from pathlib import Path

import pytest
import uvloop

from fetcher.config import BadConfig, Settings
from fetcher.errors import Truncated
from fetcher.transport import Gate, SourceRequest
from tests.lab import FakeNames, Origin, lab_settings
from tests.lab.behaviours import cut, redirect, serve
from tests.lab.certificates import HOST, Authorities
from tests.lab.hasty import HastyOrigin
from tests.transport.attack import Outcome, attack, nothing_left

DATA = bytes(range(256)) * 8192
NAMES = {HOST: ["127.0.0.1"], "other.example": ["127.0.0.1"]}


async def pull(
    authorities: Authorities, tls: ssl.SSLContext, tmp_path: Path, host: str = HOST, **changes: object
) -> Outcome:
    """Pull over https from an origin with a certificate."""
    async with Origin({"/x": serve(DATA)}, tls=tls) as origin:
        settings = lab_settings(origin, tls=authorities.trusted(tmp_path) | changes)
        outcome = await attack(origin.url("/x", host), settings, Gate(FakeNames(NAMES)))
        assert outcome.code == "ok" or not origin.requests
    return outcome


async def test_good_certificate_is_trusted_and_recorded(tmp_path: Path) -> None:
    """The record tells who the other end proved to be."""
    authorities = Authorities()
    outcome = await pull(authorities, authorities.good(), tmp_path)
    assert outcome.body == DATA
    peer = outcome.hops[0].tls
    assert peer is not None
    assert peer.version in {"TLSv1.2", "TLSv1.3"}
    assert "trustme" in peer.issuer
    assert len(peer.sha256) == 64
    assert peer.not_after > "2026"


async def test_environment_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authorities that only the environment names are not trusted; the same ones in tls.ca_file are."""
    authorities = Authorities()
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities.trusted(tmp_path)["ca_file"]))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    trusting = ssl.create_default_context()  # As everybody else would read the environment.
    tls = authorities.good()
    async with Origin({"/x": serve(DATA)}, tls=tls) as origin:
        _, writer = await asyncio.open_connection(
            origin.host, origin.port, ssl=trusting, server_hostname=HOST
        )
        writer.close()
    outcome = await pull(authorities, tls, tmp_path, ca_file="", system_cas=True)
    assert outcome.code == "tls-failed"
    assert (await pull(authorities, tls, tmp_path, system_cas=True)).body == DATA


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "its certificate has expired"),
        ("early", "its certificate is not valid yet"),
        ("unknown", "its certificate is from an authority that is not trusted"),
    ],
)
async def test_h14_bad_certificates_are_refused(kind: str, reason: str, tmp_path: Path) -> None:
    """Nothing is asked of a source that cannot prove who it is."""
    authorities = Authorities()
    outcome = await pull(authorities, getattr(authorities, kind)(), tmp_path)
    assert outcome.failure is not None
    assert outcome.failure.fields() == {"host": HOST, "reason": reason}
    assert not outcome.failure.retryable


async def test_a_source_without_tls_is_told_as_such(tmp_path: Path) -> None:
    """Its port is that of http, or of something else."""
    for greeting in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"):
        async with Origin({}, greeting=greeting) as origin:
            settings = lab_settings(origin, tls=Authorities().trusted(tmp_path))
            url = origin.url("/x", HOST).replace("http:", "https:")
            outcome = await attack(url, settings, Gate(FakeNames(NAMES)))
        assert outcome.failure is not None
        assert outcome.failure.fields() == {"host": HOST, "reason": "it speaks no TLS at this port"}


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
async def test_h14_certificate_for_another_name_is_refused(host: str, tmp_path: Path) -> None:
    """Name or address: the one in the URL must be in the certificate."""
    authorities = Authorities()
    outcome = await pull(authorities, authorities.good(), tmp_path, host)
    assert outcome.failure is not None
    assert outcome.failure.fields()["reason"] in {
        "its certificate is for another name",
        "its certificate is for another address",
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("*.s3.example", "ok"),
        ("*.s4.example", "tls-failed"),
        ("*.example", "tls-failed"),
        ("my-bucket.s3.example", "tls-failed"),
        ("s3.example", "tls-failed"),
    ],
)
async def test_bucket_with_an_underscore_is_known_by_its_certificate(
    name: str, code: str, tmp_path: Path
) -> None:
    """A wildcard stands for one label, whatever letters it has."""
    authorities = Authorities()
    async with Origin({"/x": serve(DATA)}, tls=authorities.good(name)) as origin:
        settings = lab_settings(origin, tls=authorities.trusted(tmp_path))
        gate = Gate(FakeNames({"my_bucket.s3.example": ["127.0.0.1"]}))
        outcome = await attack(origin.url("/x", "my_bucket.s3.example"), settings, gate)
        assert outcome.code == code
        assert code == "ok" or not origin.requests


async def test_bucket_with_an_underscore_needs_a_trusted_certificate(tmp_path: Path) -> None:
    """The name is not all that counts."""
    authorities = Authorities()
    async with Origin({"/x": serve(DATA)}, tls=authorities.unknown("*.s3.example")) as origin:
        settings = lab_settings(origin, tls=authorities.trusted(tmp_path))
        gate = Gate(FakeNames({"my_bucket.s3.example": ["127.0.0.1"]}))
        outcome = await attack(origin.url("/x", "my_bucket.s3.example"), settings, gate)
        assert outcome.code == "tls-failed"
        assert origin.requests == []


async def test_source_that_takes_http2_only_is_told() -> None:
    """It refuses our offer of HTTP/1.1 in the handshake: alert 120."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(bytes.fromhex("15030300020278"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    allow = [{"cidr": "127.0.0.1/32", "ports": [port]}]
    outcome = await attack(f"https://127.0.0.1:{port}/x", lab_settings(address={"allow": allow}))
    server.close()
    assert outcome.code == "http2-only"
    assert "HTTP/1.1" in outcome.told


async def test_certificate_for_an_address_is_trusted(tmp_path: Path) -> None:
    """A mirror without a name may have a certificate for its address."""
    authorities = Authorities()
    assert (await pull(authorities, authorities.good("127.0.0.1"), tmp_path, "127.0.0.1")).body == DATA


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_h14_old_versions_are_refused(version: ssl.TLSVersion, tmp_path: Path) -> None:
    """TLS 1.2 is the least, whatever the certificate."""
    authorities = Authorities()
    outcome = await pull(authorities, authorities.old(version), tmp_path)
    # A source may say why it does not go along, or just hang up.
    assert outcome.code in {"tls-failed", "connect-failed"}


async def test_h14_plain_http_behind_https_is_refused() -> None:
    """A banner in place of a handshake is no reason to speak in the clear."""
    async with Origin({"/x": serve(DATA)}, greeting=b"HTTP/1.1 400 Bad\r\n\r\nSECRET") as origin:
        outcome = await attack(origin.url("/x").replace("http", "https"), lab_settings(origin))
    assert outcome.code in {"tls-failed", "connect-failed"}
    assert "SECRET" not in outcome.told


async def test_h14_without_the_operators_authority_nobody_is_trusted(tmp_path: Path) -> None:
    """What the file adds is missing without it."""
    authorities = Authorities()
    async with Origin({"/x": serve(DATA)}, tls=authorities.good()) as origin:
        outcome = await attack(origin.url("/x", HOST), lab_settings(origin), Gate(FakeNames(NAMES)))
    assert outcome.code == "tls-failed"


async def test_h14_operators_authority_may_stand_alone(tmp_path: Path) -> None:
    """The machine's authorities can be left out."""
    authorities = Authorities()
    assert (await pull(authorities, authorities.good(), tmp_path, system_cas=False)).body == DATA


async def test_authorities_that_were_replaced_are_read_anew(tmp_path: Path) -> None:
    """A file with other authorities under the same name counts from the next pull on."""
    old, new = Authorities(), Authorities()
    gate = Gate(FakeNames(NAMES))
    async with Origin({"/x": serve(DATA)}, tls=new.good()) as origin:
        settings = lab_settings(origin, tls=old.trusted(tmp_path))
        assert (await attack(origin.url("/x", HOST), settings, gate)).code == "tls-failed"
        new.trusted(tmp_path)
        assert (await attack(origin.url("/x", HOST), settings, gate)).body == DATA
        (tmp_path / "authorities.pem").write_text("broken")
        assert (await attack(origin.url("/x", HOST), settings, gate)).code == "tls-failed"
        (tmp_path / "authorities.pem").unlink()
        assert (await attack(origin.url("/x", HOST), settings, gate)).code == "tls-failed"


async def test_h14_opting_out_is_for_one_host(tmp_path: Path) -> None:
    """A lab host may go unverified; its neighbour on the same machine may not."""
    authorities = Authorities()
    trusting = {"unverified_hosts": ["Other.example."]}
    outcome = await pull(authorities, authorities.unknown(), tmp_path, "other.example", **trusting)
    assert outcome.body == DATA
    assert outcome.hops[0].tls is not None
    assert outcome.hops[0].tls.subject == ""
    assert (await pull(authorities, authorities.unknown(), tmp_path, HOST, **trusting)).code == "tls-failed"


def test_trusting_nobody_is_a_mistake(tmp_path: Path) -> None:
    """A file that is missing, or nobody to trust at all, is found when the settings are read."""
    for bad in ({"ca_file": str(tmp_path / "none.pem")}, {"system_cas": False}):
        with pytest.raises(BadConfig):
            lab_settings(tls=bad)


async def test_redirect_from_http_to_https_is_followed(tmp_path: Path) -> None:
    """The way up is free; the way down is not."""
    authorities = Authorities()
    async with Origin({"/x": serve(DATA)}, tls=authorities.good()) as secure, Origin() as plain:
        plain.routes["/up"] = redirect(secure.url("/x", HOST))
        secure.routes["/down"] = redirect(plain.url("/x"))
        settings = lab_settings(secure, plain, tls=authorities.trusted(tmp_path))
        gate = Gate(FakeNames(NAMES))
        assert (await attack(plain.url("/up"), settings, gate)).body == DATA
        down = await attack(secure.url("/down", HOST), settings, gate)
    assert down.code == "bad-redirect"
    assert len(plain.requests) == 1


async def pull_slowly(origin: HastyOrigin, settings: Settings, neighbours: int) -> int:
    """Read a body with pauses; tell how much came."""
    gate, received = Gate(FakeNames(NAMES)), 0
    gate._open = neighbours  # the more there are, the less each may hold
    request = SourceRequest(url=f"https://{HOST}:{origin.port}/x")
    async with gate.open(request, settings, lambda _: None) as source:
        while chunk := await source.read():
            received += len(chunk)
            if received % 5 == 0:
                await asyncio.sleep(0.002)
    return received


@pytest.mark.parametrize("neighbours", [0, 100, 1000])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_end_of_a_fast_source_is_not_lost(run, neighbours: int, tmp_path: Path) -> None:
    """A source that hangs up while our disk holds reading back has sent all the same, on either loop."""
    authorities = Authorities()
    with HastyOrigin(DATA, authorities.good()) as origin:
        allow = [{"cidr": "127.0.0.1/32", "ports": [origin.port]}]
        settings = lab_settings(address={"allow": allow}, tls=authorities.trusted(tmp_path))
        for _ in range(4):
            assert run(pull_slowly(origin, settings, neighbours)) == len(DATA)


@pytest.mark.parametrize("reset", [False, True])
async def test_h01_broken_https_is_no_end(reset: bool, tmp_path: Path) -> None:
    """Cut off with or without a farewell: not whole."""
    authorities = Authorities()
    async with Origin({"/x": cut(DATA, 100_000, reset=reset)}, tls=authorities.good()) as origin:
        settings = lab_settings(origin, tls=authorities.trusted(tmp_path))
        outcome = await attack(origin.url("/x", HOST), settings, Gate(FakeNames(NAMES)))
    assert isinstance(outcome.failure, Truncated)


@pytest.mark.parametrize("wanted", ["head", "part", "all"])
async def test_peer_that_never_says_goodbye_holds_nothing(wanted: str, tmp_path: Path) -> None:
    """A source that ignores our farewell keeps none of our descriptors, however far we came."""
    authorities = Authorities()
    size = {"head": 0, "part": 100_000, "all": 200_000}[wanted]
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(size) if size else b"HTTP/1.1 2"
    with HastyOrigin(b"", authorities.good(), says=said, holds=True) as origin:
        allow = [{"cidr": "127.0.0.1/32", "ports": [origin.port]}]
        pace = {"header_seconds": 0.2, "idle_seconds": 0.2}
        settings = lab_settings(address={"allow": allow}, tls=authorities.trusted(tmp_path), pace=pace)
        gate, url = Gate(FakeNames(NAMES)), f"https://{HOST}:{origin.port}/x"
        outcome = await attack(url, settings, gate)  # fails if anything of ours stays open
    assert outcome.code == ("ok" if wanted == "all" else "source-too-slow")


async def test_nothing_is_left_of_a_refused_handshake(tmp_path: Path) -> None:
    """A hundred refused certificates leave no socket behind."""
    authorities = Authorities()
    async with Origin({"/x": serve(DATA)}, tls=authorities.unknown()) as origin, nothing_left():
        settings = lab_settings(origin, tls=authorities.trusted(tmp_path))
        gate = Gate(FakeNames(NAMES))
        for _ in range(30):
            assert (await attack(origin.url("/x", HOST), settings, gate)).code == "tls-failed"
        await origin.wait_idle()
