"""Authorities that an import brings along: trusted for its own requests and for nobody else's."""

import base64
import hashlib
import ssl
from pathlib import Path

import pytest
import trustme

from tests.images import raw
from tests.lab import behaviours
from tests.lab.certificates import Authorities
from tests.lab.origin import Origin
from tests.page.test_page import sent
from tests.service import Running

BODY = raw(200_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


def pem_of(authorities: Authorities, folder: Path) -> str:
    """The certificate of the authority, as people have it in a file."""
    return Path(str(authorities.trusted(folder)["ca_file"])).read_text()


def block(kind: str, text: str) -> str:
    """One block of PEM."""
    return f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"


ONE = trustme.CA().cert_pem.bytes().decode()
DER = ssl.PEM_cert_to_DER_cert(ONE)
KEYS = ("", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH ")


async def test_own_authorities_are_trusted_for_the_import_alone(tmp_path: Path) -> None:
    """For image, mirrors and checksum file; kept in the provenance by its digest; others are not let in."""
    authorities = Authorities()
    pem = pem_of(authorities, tmp_path)
    tls = authorities.good("127.0.0.1")
    sums = behaviours.serve(f"{SHA256}  x\n".encode())
    routes = {"/go": behaviours.redirect("/x"), "/x": behaviours.serve(BODY, etag='"1"'), "/s": sums}
    async with Origin(routes, tls=tls) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/go"), checksum_url=origin.url("/s"), ca_pem=pem)
        assert ended["verified_by"] == "sums", ended
        told = await service.get(f"/imports/{ended['id']}/provenance")
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        assert told["submitted"]["ca_sha256"] == ended["submission"]["ca_sha256"] == [digest]
        assert "BEGIN" not in str([told, ended])
        ended = await service.run(url=origin.url("/x"))
        assert ended["verdict"]["code"] == "tls-failed"
        ended = await service.run(url=origin.url("/x"), ca_pem=pem_of(Authorities(), tmp_path))
        assert ended["verdict"]["code"] == "tls-failed"


async def test_a_bundle_as_machines_have_it_is_taken(tmp_path: Path) -> None:
    """Several certificates, words in any script between them, twice the same, lines as Windows ends them."""
    authorities = Authorities()
    pem = f"# Autorit\u00e9 - une\n{ONE}\n# Zweite\n{pem_of(authorities, tmp_path)}{ONE}".replace(
        "\n", "\r\n"
    )
    pem = pem.replace("CERTIFICATE", "X509 CERTIFICATE", 2)
    tls = authorities.good("127.0.0.1")
    async with (
        Origin({"/x": behaviours.serve(BODY)}, tls=tls) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(url=origin.url("/x"), ca_pem=pem)
        assert ended["state"] == "succeeded", ended["verdict"]
        digests = ended["submission"]["ca_sha256"]
        assert len(digests) == 2
        assert digests[0] == hashlib.sha256(DER).hexdigest()


async def test_a_look_trusts_them_too(tmp_path: Path) -> None:
    """For the image, and for the checksum file that lies beside it."""
    authorities = Authorities()
    routes = {
        "/x.img": behaviours.serve(BODY),
        "/SHA256SUMS": behaviours.serve(f"{SHA256}  x.img\n".encode()),
    }
    tls = authorities.good("127.0.0.1")
    async with Origin(routes, tls=tls) as origin, Running(tmp_path, origin) as service:
        fields = {"url": origin.url("/x.img"), "ca_pem": pem_of(authorities, tmp_path), "disk_format": "raw"}
        _, found, _ = await service.call("POST", "/imports/probe", json=fields)
        assert found["accepted"] is True, found
        assert found["checksum_file"]["digest"] == f"sha256:{SHA256}"
        _, found, _ = await service.call("POST", "/imports/probe", json={"url": origin.url("/x.img")})
        assert [refusal["code"] for refusal in found["refusals"]] == ["tls-failed"]


async def test_a_private_key_is_kept_nowhere(tmp_path: Path) -> None:
    """Neither in the index nor in any other file, whichever way it came."""
    key = trustme.CA().private_key_pem.bytes().decode()
    fields = {"url": "https://a.example/x", "ca_pem": ONE + key}
    async with Running(tmp_path) as service:
        for path in ("/imports", "/imports/probe"):
            status, problem, _ = await service.call("POST", path, json=fields)
            assert status == 400
            assert key.splitlines()[1] not in str(problem)
        status, page, _ = await sent(service, "/page/submit", **fields)
        assert (status, "private key" in page) == (400, True)
    assert not [
        file
        for file in tmp_path.rglob("*")
        if file.is_file() and key.splitlines()[1].encode() in file.read_bytes()
    ]


async def test_imports_with_other_authorities_do_not_share_a_pull(tmp_path: Path) -> None:
    """Who trusts less gets nothing by who trusts more."""
    authorities = Authorities()
    slow = behaviours.serve(BODY, bytes_per_second=400_000)
    async with (
        Origin({"/x": slow}, tls=authorities.good("127.0.0.1")) as origin,
        Running(tmp_path, origin) as service,
    ):
        first = await service.submit(url=origin.url("/x"), ca_pem=pem_of(authorities, tmp_path))
        await origin.wait_requests(1)
        second = await service.run(url=origin.url("/x"))
        assert second["verdict"]["code"] == "tls-failed"
        assert (await service.ended(first["id"]))["state"] == "succeeded"


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        ("", "no certificates"),
        ("nonsense", "no certificates"),
        (block("CERTIFICATE", "AAAA"), "certificate 1 cannot be read"),
        (block("CERTIFICATE", "AA*A"), "certificate 1 is no base64"),
        (block("X509 CRL", "AAAA"), "block 1 is no CERTIFICATE"),
        (block("TRUSTED CERTIFICATE", "AAAA"), "block 1 is no CERTIFICATE"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "no end of the same kind"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n", "no end of the same kind"),
        (ONE + block("CERTIFICATE", "AAAA"), "certificate 2 cannot be read"),
        (block("CERTIFICATE", base64.b64encode(DER + DER).decode()), "certificate 1 is more than one"),
        (block("CERTIFICATE", base64.b64encode(DER + b"more").decode()), "certificate 1 cannot be read"),
        ("caf\u00e9", "no certificates"),
        *((ONE + block(f"{kind}PRIVATE KEY", "AAAA"), "it holds a private key") for kind in KEYS),
        ("-----begin private key-----\nAAAA", "it holds a private key"),
        ("a" * 16_385, "at most 16,384 bytes"),
        ("\u00e9" * 8_193, "at most 16,384 bytes"),
    ],
)
async def test_what_is_no_authority_is_refused_at_once(pem: str, reason: str, tmp_path: Path) -> None:
    """With what is wrong, and before anything is asked."""
    async with Running(tmp_path) as service:
        fields = {"url": "https://a.example/x", "ca_pem": pem}
        for path in ("/imports", "/imports/probe"):
            status, problem, _ = await service.call("POST", path, json=fields)
            assert (status, problem["code"], problem["field"]) == (400, "request-invalid", "ca_pem")
            assert reason in problem["detail"]
        assert (await service.get("/imports"))["imports"] == []


async def test_operator_may_take_none(tmp_path: Path) -> None:
    """Whoever brings authorities decides what is trusted; an operator may keep that to themselves."""
    async with Running(tmp_path, tls={"max_ca_pem_bytes": 0}) as service:
        fields = {"url": "https://a.example/x", "ca_pem": pem_of(Authorities(), tmp_path)}
        _, problem, _ = await service.call("POST", "/imports", json=fields)
        assert "the operator takes no authorities" in problem["detail"]
