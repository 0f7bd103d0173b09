"""Authorities that an import brings along: trusted for its own requests and for nobody else's."""

import hashlib
from pathlib import Path

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.certificates import Authorities
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(200_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


def pem_of(authorities: Authorities, folder: Path) -> str:
    """The certificate of the authority, as people have it in a file."""
    return Path(str(authorities.trusted(folder)["ca_file"])).read_text()


async def test_own_authorities_are_trusted_for_the_import_alone(tmp_path: Path) -> None:
    """For image, mirrors and checksum file; kept in the provenance by its digest; others are not let in."""
    authorities = Authorities()
    pem = pem_of(authorities, tmp_path)
    tls = authorities.good("127.0.0.1")
    sums = behaviours.serve(f"{SHA256}  x\n".encode())
    routes = {"/x": behaviours.serve(BODY, etag='"1"'), "/s": sums}
    async with Origin(routes, tls=tls) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), checksum_url=origin.url("/s"), ca_pem=pem)
        assert ended["verified_by"] == "sums", ended
        told = await service.get(f"/imports/{ended['id']}/provenance")
        assert len(told["submitted"]["ca_sha256"]) == 1
        ended = await service.run(url=origin.url("/x"))
        assert ended["verdict"]["code"] == "tls-failed"
        ended = await service.run(url=origin.url("/x"), ca_pem=pem_of(Authorities(), tmp_path))
        assert ended["verdict"]["code"] == "tls-failed"


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
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificates"),
        ("caf\u00e9", "no certificates"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"),
        ("a" * 20_000, "at most 16,384 bytes"),
    ],
)
async def test_what_is_no_authority_is_refused_at_once(pem: str, reason: str, tmp_path: Path) -> None:
    """With what is wrong, and before anything is asked."""
    async with Running(tmp_path) as service:
        fields = {"url": "https://a.example/x", "ca_pem": pem}
        status, problem, _ = await service.call("POST", "/imports", json=fields)
        assert (status, problem["code"]) == (400, "request-invalid")
        assert reason in problem["detail"]


async def test_operator_may_take_none(tmp_path: Path) -> None:
    """Whoever brings authorities decides what is trusted; an operator may keep that to themselves."""
    async with Running(tmp_path, tls={"max_ca_pem_bytes": 0}) as service:
        fields = {"url": "https://a.example/x", "ca_pem": pem_of(Authorities(), tmp_path)}
        _, problem, _ = await service.call("POST", "/imports", json=fields)
        assert "the operator takes no authorities" in problem["detail"]
