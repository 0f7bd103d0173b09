"""A source that asks who we are: an import may show a certificate, where the operator allows it."""

import contextlib
import hashlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Any, Self

import pytest
import sqlite_utils
import trustme
from cryptography.hazmat.primitives import serialization

from fetcher.config import BadConfig, load_settings
from tests.cli.conftest import Fetcher, fetcher
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import PATIENT_SECONDS, Running

__all__ = ["fetcher"]
BODY = raw(100_000)
ALLOWED = {"client_certificates": True}


class Ground:
    """A source whose authority gives certificates to clients, too."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        leaf = self._ca.issue_cert("client.example")
        self.certificate = leaf.cert_chain_pems[0].bytes().decode()
        self.key = leaf.private_key_pem.bytes().decode()
        self.sha256 = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate)).hexdigest()
        file = folder / "ca.pem"
        file.write_bytes(self._ca.cert_pem.bytes())
        self.trusted = {"ca_file": str(file), **ALLOWED}

    def asking(self) -> ssl.SSLContext:
        """Serve those alone who show a certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1", "127.0.0.3").configure_cert(context)
        context.load_verify_locations(cadata=self._ca.cert_pem.bytes().decode())
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def fields(self, **more: Any) -> dict[str, Any]:
        """What a submission brings."""
        return {"client_certificate_pem": self.certificate, "client_key_pem": self.key, **more}


async def test_a_client_certificate_opens_its_source(tmp_path: Path) -> None:
    """In every range and attempt; afterwards only its fingerprint is left, in record and provenance."""
    ground = Ground(tmp_path)
    parts = behaviours.cut(BODY, 60_000, fields={"ETag": '"1"'})
    routes = {
        "/x": parts,
        "/w": behaviours.serve(BODY),
        "/SUMS": behaviours.serve(f"{hashlib.sha256(BODY).hexdigest()}  x\n".encode()),
    }
    async with (
        Origin(routes, tls=ground.asking()) as origin,
        Running(tmp_path, origin, tls=ground.trusted) as service,
    ):
        fields = ground.fields(url=origin.url("/x"), checksum_url=origin.url("/SUMS"))
        ended = await service.run(**fields)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["verified_by"] == "sums"
        assert ended["submission"]["client_sha256"] == ground.sha256
        told = await service.get(f"/imports/{ended['id']}/provenance")
        assert told["submitted"]["client_sha256"] == ground.sha256
        assert "PRIVATE" not in str([ended, told])
        db = sqlite_utils.Database(service.data / "index.sqlite")
        assert list(db.query("SELECT * FROM import_secrets")) == []
        assert not [name for name in db.table_names() for row in db[name].rows if "PRIVATE" in str(row)]
        db.conn.close()
        status, found, _ = await service.call(
            "POST", "/imports/probe", json=ground.fields(url=origin.url("/w"), disk_format="raw")
        )
        assert (status, found["accepted"]) == (200, True), found
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "failed"


class Alerting:
    """A server that tells in alerts what it thinks of its clients, as servers outside asyncio do."""

    host = "127.0.0.1"

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listening = socket.create_server((self.host, 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                accepted.settimeout(PATIENT_SECONDS)
                with self._context.wrap_socket(
                    accepted, server_side=True, do_handshake_on_connect=False
                ) as secured:
                    self._answer(secured)

    def _answer(self, secured: ssl.SSLSocket) -> None:
        try:
            secured.do_handshake()
            secured.recv(65_536)
            secured.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            secured.unwrap()
        except OSError:
            with contextlib.suppress(OSError):
                while socket.socket.recv(secured, 65_536):  # Else the alert would be lost with a reset.
                    pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_wanted_certificate_is_named_and_giving_it_works(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """In either version of TLS: no certificate, another authority's, and the one that is wanted."""
    ground = Ground(tmp_path)
    (tmp_path / "other").mkdir()
    other = Ground(tmp_path / "other")
    asking = ground.asking()
    asking.minimum_version = asking.maximum_version = version
    with Alerting(asking) as server:
        url = f"https://127.0.0.1:{server.port}/x"
        async with Running(tmp_path, server, tls=ground.trusted, retry={"attempts": 1}) as service:  # type: ignore[arg-type] # it has a host and a port
            verdict = (await service.run(url=url))["verdict"]
            assert verdict["code"] == "tls-failed"
            assert "it asks for a client certificate" in verdict["title"]
            assert "Give client_certificate_pem and client_key_pem" in verdict["advice"]
            verdict = (await service.run(**other.fields(url=url)))["verdict"]
            assert (verdict["code"], "does not accept" in verdict["title"]) == ("tls-failed", True), verdict
            assert "is the one that the source gave out" in verdict["advice"]
            ended = await service.run(**ground.fields(url=url))
            assert ended["state"] == "succeeded", ended["verdict"]


async def test_a_client_certificate_is_shown_to_its_source_alone(tmp_path: Path) -> None:
    """Where a redirect leads, somebody else would learn who we are."""
    ground = Ground(tmp_path)
    async with (
        Origin({"/x": behaviours.serve(BODY)}, host="127.0.0.3", tls=ground.asking()) as far,
        Origin({"/x": behaviours.redirect(far.url("/x"))}, tls=ground.asking()) as origin,
        Running(tmp_path, origin, far, tls=ground.trusted, retry={"attempts": 1}) as service,
    ):
        ended = await service.run(**ground.fields(url=origin.url("/x")))
        assert ended["state"] == "failed"
        assert far.requests == []
        ended = await service.run(**ground.fields(url=far.url("/x")))
        assert ended["state"] == "succeeded", ended["verdict"]


async def test_the_operators_certificate_opens_the_hosts_that_it_is_for(tmp_path: Path) -> None:
    """For every import and no other host; a replaced file counts at once, and a submitter's own first."""
    ground = Ground(tmp_path)
    (tmp_path / "other").mkdir()
    other = Ground(tmp_path / "other")
    pem = tmp_path / "client.pem"
    pem.write_text(other.key + other.certificate)
    ours = {"clients": [{"hosts": ["127.0.0.1"], "certificate": str(pem)}]}
    with Alerting(ground.asking()) as server:
        async with (
            Origin({"/x": behaviours.serve(BODY)}, host="127.0.0.3", tls=ground.asking()) as far,
            Running(tmp_path, server, far, tls=ground.trusted | ours, retry={"attempts": 1}) as service,  # type: ignore[arg-type] # it has a host and a port
        ):
            url = f"https://127.0.0.1:{server.port}/x"
            verdict = (await service.run(url=url))["verdict"]
            assert "the operator's client certificate" in verdict["title"], verdict
            assert "tls.clients" in verdict["advice"]
            assert (await service.run(**ground.fields(url=url)))["state"] == "succeeded"
            pem.write_text(ground.key + ground.certificate)
            ended = await service.run(url=url)
            assert ended["state"] == "succeeded", ended["verdict"]
            assert ended["submission"]["client_sha256"] is None
            assert (await service.run(url=far.url("/x")))["state"] == "failed"
            assert far.requests == []


def test_files_of_the_operators_certificate_have_to_be_there(tmp_path: Path) -> None:
    """Before the service starts, not when the first import needs them."""
    missing = {"hosts": ["a.example"], "certificate": str(tmp_path / "none.pem")}
    with pytest.raises(BadConfig) as caught:
        load_settings(changes={"tls": {"clients": [missing]}})
    assert "tls.clients" in str(caught.value)


async def test_the_operator_decides_whether_they_are_taken(tmp_path: Path) -> None:
    """They are not, unless the configuration says so; discovery tells which it is."""
    ground = Ground(tmp_path)
    async with Running(tmp_path) as service:
        status, told, _ = await service.call(
            "POST", "/imports", json=ground.fields(url="https://a.example/x")
        )
        assert (status, told["field"]) == (400, "client_certificate_pem")
        assert (await service.get("/limits"))["limits"]["client_certificates_allowed"]["value"] is False


def encrypted(key_pem: str) -> str:
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    kind = serialization.BestAvailableEncryption(b"hush")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kind).decode()


async def test_what_is_no_certificate_with_its_key_is_refused(tmp_path: Path) -> None:
    """Before anything is queued, in words that repeat nothing of it."""
    ground, other = Ground(tmp_path), Ground(tmp_path)
    wrong: list[tuple[dict[str, str], str]] = [
        ({"client_key_pem": ground.key}, "client_certificate_pem"),
        ({"client_certificate_pem": ground.certificate}, "client_key_pem"),
        (ground.fields(client_key_pem=other.key), "client_key_pem"),
        (ground.fields(client_key_pem=encrypted(ground.key)), "client_key_pem"),
        (ground.fields(client_key_pem="hush"), "client_key_pem"),
        (ground.fields(client_certificate_pem="hush"), "client_certificate_pem"),
        (ground.fields(client_certificate_pem=ground.certificate + ground.key), "client_certificate_pem"),
        (ground.fields(client_certificate_pem=ground.certificate * 17), "client_certificate_pem"),
    ]
    async with Running(tmp_path, tls=ALLOWED) as service:
        for fields, field in wrong:
            body = {"url": "https://a.example/x", **fields}
            status, told, _ = await service.call("POST", "/imports", json=body)
            assert (status, told["field"]) == (400, field), told
            assert "hush" not in str(told)
            assert "BEGIN" not in str(told)


async def test_the_command_line_reads_them_from_files(fetcher: Fetcher, tmp_path: Path) -> None:
    """One file may hold both, as tools write them."""
    ground = Ground(tmp_path)
    both = tmp_path / "client.pem"
    both.write_text(ground.key + ground.certificate)
    async with (
        Origin({"/x": behaviours.serve(BODY)}, tls=ground.asking()) as origin,
        Running(tmp_path, origin, tls=ground.trusted) as service,
    ):
        command = ("submit", origin.url("/x"), "--disk-format", "raw", "--wait", "--json")
        files = ("--client-certificate", both, "--client-key", both, "--server", service.base)
        result = await fetcher(*command, *files)
        assert result.json["state"] == "succeeded", result.json["verdict"]
        (tmp_path / "empty").write_text("hush")
        files = ("--client-certificate", tmp_path / "empty", "--server", service.base)
        result = await fetcher(*command, *files)
        assert result.code == 2
        assert "hush" not in result.err


@pytest.mark.parametrize("scheme", ["s3", "https"])
async def test_keys_of_buckets_come_from_the_environment(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """They are sent with s3:// URLs alone: others would be refused with them."""
    monkeypatch.setenv("FETCHER_S3_ACCESS_KEY_ID", "AKIALAB")
    monkeypatch.setenv("FETCHER_S3_SECRET_ACCESS_KEY", "hush")
    async with Origin({"*": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        place = f"http://127.0.0.1:{origin.port}"
        url = "s3://images/x.img" if scheme == "s3" else origin.url("/images/x.img")
        result = await fetcher(
            *("submit", url, "--disk-format", "raw", "--wait", "--json", "--server", service.base),
            *("--s3-endpoint", place, "--s3-region", "eu-west-1"),
        )
        assert result.json["state"] == "succeeded", result.json["verdict"]
        signed = origin.requests[0].header("Authorization") or ""
        assert ("AKIALAB/" in signed and "/eu-west-1/s3/" in signed) == (scheme == "s3")
        assert "hush" not in result.out + signed
