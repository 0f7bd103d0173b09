"""Publishers that sign with an identity: bundles beside files and in registries, required or not."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fetcher.config import BadConfig, load_settings
from tests.catalogues.test_catalogues import PRODUCTS, STREAMS, source
from tests.images import raw
from tests.lab.behaviours import serve, status
from tests.lab.catalogue import index as listing
from tests.lab.origin import Origin
from tests.lab.sigstore import ISSUER, SUBJECT, Sigstore
from tests.service import Running

LAB, STRANGER = Sigstore(), Sigstore()
BODY, OTHER = raw(300_000), raw(300_000, seed=5)
SHA256 = hashlib.sha256(BODY).hexdigest()
SIGNER = f"{SUBJECT} ({ISSUER})"


def text(bundle: dict[str, Any]) -> bytes:
    """As a file."""
    return json.dumps(bundle).encode()


def rule(host: str, folder: Path, **more: Any) -> dict[str, Any]:
    """Pin the lab's identity for all that a host serves."""
    one = {
        "name": "lab",
        "hosts": [host],
        "identities": [{"subject": SUBJECT, "issuer": ISSUER}],
        "trusted_root": LAB.root(folder),
    }
    return {"publisher": {"rules": [one | more]}}


DOCUMENTS = {
    "/r/streams/v1/index.json": listing("streams/v1/a.json"),
    "/r/streams/v1/a.json": PRODUCTS,
}
ROUTES = {
    "/disk.img": serve(BODY),
    "/disk.img.sigstore.json": serve(text(LAB.bundle(BODY))),
    "/unsigned.img": serve(BODY),
    "/unsigned.img.sigstore.json": status(404),
    "/other.img": serve(OTHER),
    "/other.img.sigstore.json": serve(text(LAB.bundle(BODY))),
    "/stranger.img": serve(BODY),
    "/stranger.img.sigstore.json": serve(text(STRANGER.bundle(BODY))),
    "/somebody.img": serve(BODY),
    "/somebody.img.sigstore.json": serve(text(LAB.bundle(BODY, subject="https://evil.example"))),
    "/built.img": serve(BODY),
    "/built.intoto": serve(text(LAB.statement({"other.img": "0" * 64, "built.img": SHA256}))),
}


async def test_a_bundle_beside_the_image_is_looked_for(tmp_path: Path) -> None:
    """Nothing but the URL is submitted; verdict, signer and discovery name the identity."""
    async with (
        Origin(ROUTES) as origin,
        Running(tmp_path, origin, **rule(origin.host, tmp_path)) as service,
    ):
        ended = await service.run(url=origin.url("/disk.img"))
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "sigstore"), ended["verdict"]
        assert ended["sums_signature"] == "good"
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert story["publisher"] == {"name": "lab", "required": True, "is_signed": True}
        assert (story["sums"]["signer"], story["sums"]["verified_by"]) == (SIGNER, "sigstore")
        limits = (await service.get("/limits"))["limits"]
        assert limits["signed_identities"]["value"] == [f"{origin.host}: {SIGNER}"]
        attestation = await service.get(f"/imports/{ended['id']}/attestation")
        assert attestation["payload"]
        page = (await service.call("GET", f"/page/imports/{ended['id']}"))[1]
        assert "Verified (sigstore)" in page


WITHOUT = {
    "unsigned": "source-status",
    "other": "checksum-mismatch",
    "stranger": "checksum-file-unusable",
    "somebody": "checksum-file-unusable",
}


async def test_k12_an_image_without_a_bundle_that_holds_is_refused(tmp_path: Path) -> None:
    """No bundle, other bytes, another authority, another identity."""
    async with (
        Origin(ROUTES) as origin,
        Running(tmp_path, origin, **rule(origin.host, tmp_path)) as service,
    ):
        for name, code in WITHOUT.items():
            ended = await service.run(url=origin.url(f"/{name}.img"))
            assert ended["state"] in {"refused", "failed"}
            assert ended["verdict"]["code"] == code, ended["verdict"]
            assert service.traces() == []


async def test_a_bundle_may_be_named(tmp_path: Path) -> None:
    """As checksum_url, wherever it is; of a statement's names, the image's is taken."""
    async with (
        Origin(ROUTES) as origin,
        Running(tmp_path, origin, **rule(origin.host, tmp_path)) as service,
    ):
        ended = await service.run(url=origin.url("/built.img"), checksum_url=origin.url("/built.intoto"))
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "sigstore"), ended["verdict"]


async def test_a_checksum_file_does_not_stand_in_for_the_identity(tmp_path: Path) -> None:
    """Keys that the operator trusts for all others sign nothing for a publisher with an identity."""
    routes = ROUTES | {"/SUMS": serve(f"{SHA256}  disk.img\n".encode())}
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, **rule(origin.host, tmp_path)) as service,
    ):
        ended = await service.run(url=origin.url("/disk.img"), checksum_url=origin.url("/SUMS"))
        assert ended["verdict"]["code"] == "checksum-file-unusable"
        for more in ({"checksum": f"sha256:{SHA256}"}, {"url": origin.url("/disk.img?x=1")}):
            body = {"url": origin.url("/disk.img"), **more}
            code = (await service.call("POST", "/imports", json=body))[1]["code"]
            assert code == "signature-required"


async def test_without_a_rule_a_bundle_proves_nothing(tmp_path: Path) -> None:
    """A submitter cannot say who has to have signed."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        url = origin.url("/disk.img")
        ended = await service.run(url=url, checksum_url=f"{url}.sigstore.json")
        assert ended["verdict"]["code"] == "checksum-file-unusable"
        assert "names no identity" in ended["verdict"]["title"]


async def test_a_rule_may_only_pin_an_identity(tmp_path: Path) -> None:
    """Where no signature is required, an image without one comes, and nothing is looked for."""
    async with (
        Origin(ROUTES) as origin,
        Running(tmp_path, origin, **rule(origin.host, tmp_path, required=False)) as service,
    ):
        ended = await service.run(url=origin.url("/unsigned.img"))
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "none")
        url = origin.url("/disk.img")
        ended = await service.run(url=url, checksum_url=f"{url}.sigstore.json")
        assert ended["verified_by"] == "sigstore"


async def test_a_registrys_url_without_its_scheme_is_no_way_around(tmp_path: Path) -> None:
    """The blob's own URL, asked by https, needs a bundle beside it like any other."""
    async with (
        Origin({"/v2/disks/one/manifests/v1": serve(BODY)}) as origin,
        Running(tmp_path, origin, **rule(origin.host, tmp_path)) as service,
    ):
        ended = await service.run(url=origin.url("/v2/disks/one/manifests/v1"))
        assert ended["state"] == "failed"
        assert ended["verdict"]["code"] == "source-status"


async def test_a_catalogue_may_be_signed_by_an_identity(tmp_path: Path) -> None:
    """A bundle beside each document vouches for it; one by a stranger leaves nothing to be found."""
    for lab_of, state in ((LAB, "signed-catalogue"), (STRANGER, None)):
        folder = tmp_path / (state or "stranger")
        folder.mkdir()
        bundles = {
            f"{path}.sigstore.json": serve(text(lab_of.bundle(body))) for path, body in DOCUMENTS.items()
        }
        async with Origin(STREAMS | bundles) as origin:
            pinned = {
                "identities": [{"subject": SUBJECT, "issuer": ISSUER}],
                "trusted_root": LAB.root(folder),
            }
            async with Running(folder, origin, **source(origin, **pinned)) as service:
                code, made, _ = await service.call(
                    "POST", "/imports", json={"catalogue": "ubuntu:26.04", "disk_format": "raw"}
                )
                if state is None:
                    assert (code, made["code"]) == (502, "catalogue-unusable"), made
                    continue
                ended = await service.ended(made["id"])
                assert (ended["state"], ended["verified_by"]) == ("succeeded", state)
                assert ended["submission"]["catalogue"]["signer"] == SIGNER


def test_a_rule_without_a_root_is_a_mistake() -> None:
    """The check of the configuration names the key."""
    one = {"name": "lab", "hosts": ["example.org"], "identities": [{"subject": "x", "issuer": "y"}]}
    with pytest.raises(BadConfig) as caught:
        load_settings(None, {"publisher": {"rules": [one]}})
    assert "publisher.lab.trusted_root" in str(caught.value)
