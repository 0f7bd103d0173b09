"""Publishers that sign with an identity: bundles beside files and in registries, required or not."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fetcher.config import BadConfig, load_settings
from fetcher.model import Digest
from fetcher.parsers.oci_signatures import referrers_tag, signature_tag
from tests.catalogues.test_catalogues import PRODUCTS, STREAMS, source
from tests.images import qcow2, raw
from tests.importer.schemes.test_oci import HTTP, running, state_of
from tests.lab import registry as lab
from tests.lab.behaviours import serve, status
from tests.lab.catalogue import index as listing
from tests.lab.origin import Origin
from tests.lab.registry import Layer, RegistryServer, file_layer, image, index, registry_server
from tests.lab.sigstore import BUNDLE, ISSUER, SUBJECT, Sigstore, b64, new_key, sign
from tests.service import Running
from tests.transport.test_plain_signatures import pem_of

LAB, STRANGER = Sigstore(), Sigstore()
BODY, OTHER = raw(300_000), raw(300_000, seed=5)
SHA256 = hashlib.sha256(BODY).hexdigest()
DISK = qcow2(clusters=4)
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


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("unsigned", "source-status"),
        ("other", "checksum-mismatch"),
        ("stranger", "checksum-file-unusable"),
        ("somebody", "checksum-file-unusable"),
    ],
)
async def test_k12_an_image_without_a_bundle_that_holds_is_refused(
    tmp_path: Path, name: str, code: str
) -> None:
    """No bundle, other bytes, another authority, another identity."""
    async with (
        Origin(ROUTES) as origin,
        Running(tmp_path, origin, **rule(origin.host, tmp_path)) as service,
    ):
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


def referrer(bundle: dict[str, Any]) -> tuple[bytes, Layer]:
    """A manifest that holds a bundle."""
    layer = Layer(data=text(bundle), media_type=BUNDLE)
    document = json.loads(image(layer)) | {"artifactType": BUNDLE}
    return json.dumps(document).encode(), layer


def listed(*manifests: bytes) -> bytes:
    """What stands in for a list of referrers."""
    rows = [
        {
            "mediaType": lab.OCI_MANIFEST,
            "digest": lab.digest_of(one),
            "size": len(one),
            "artifactType": BUNDLE,
        }
        for one in manifests
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": lab.OCI_INDEX, "manifests": rows}).encode()


def payload(digest: str, kind: str = "cosign container image signature") -> bytes:
    """What `cosign sign --key` signs."""
    named = {"image": {"docker-manifest-digest": digest}, "identity": {}, "type": kind}
    return json.dumps({"critical": named, "optional": None}).encode()


def signed_layer(key: Any, text_of: bytes) -> Layer:
    """A signed payload, as cosign keeps it."""
    annotations = {"dev.cosignproject.cosign/signature": b64(sign(key, text_of))}
    kind = "application/vnd.dev.cosign.simplesigning.v1+json"
    return Layer(data=text_of, media_type=kind, annotations=annotations)


KEY = new_key()


def promised_layer(text_of: bytes, lab_of: Sigstore = LAB, **more: Any) -> Layer:
    """A payload signed by an identity, as cosign kept it before its version 3."""
    kind = "application/vnd.dev.cosign.simplesigning.v1+json"
    return Layer(data=text_of, media_type=kind, annotations=lab_of.annotations(text_of, **more))


def push_bundles(server: RegistryServer, repository: str, digest: str, *bundles: dict[str, Any]) -> None:
    """Leave bundles for a manifest, as cosign does at a registry without a list of referrers."""
    made = [referrer(bundle) for bundle in bundles]
    for number, (manifest, layer) in enumerate(made):
        server.push(repository, f"bundle-{number}", manifest, layer)
    tag = referrers_tag(lab_digest(digest))
    server.push(repository, tag, listed(*(manifest for manifest, _ in made)))


def lab_digest(digest: str) -> Digest:
    """A digest as the service has it."""
    return Digest(algorithm="sha256", value=digest.partition(":")[2])


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Debian's registry, with images that are signed in all the ways, well and badly."""
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        layer = file_layer(DISK, "disk.qcow2")
        manifest = image(layer)
        hexadecimal = lab.digest_of(manifest).partition(":")[2]
        good = LAB.statement({"": hexadecimal})
        bad = [
            STRANGER.statement({"": hexadecimal}),
            LAB.statement({"": "0" * 64}),
            LAB.statement({"": hexadecimal}, subject="https://evil.example"),
        ]
        for name, bundles in {"good": [*bad, good], "bad": bad, "none": []}.items():
            digest = server.push(f"disks/{name}", "v1", manifest, layer)
            if bundles:
                push_bundles(server, f"disks/{name}", digest, *bundles)
        server.push("disks/index", "inner", manifest, layer)
        whole = index({"amd64": manifest})
        digest = server.push("disks/index", "v1", whole)
        push_bundles(server, "disks/index", digest, LAB.statement({"": digest.partition(":")[2]}))
        for name, layers in {
            "key": [signed_layer(key, payload(lab.digest_of(manifest))) for key in (new_key(), KEY)],
            "other-key": [signed_layer(new_key(), payload(lab.digest_of(manifest)))],
            "other-image": [signed_layer(KEY, payload(lab.digest_of(whole)))],
            "other-kind": [signed_layer(KEY, payload(lab.digest_of(manifest), "something else"))],
            "no-json": [signed_layer(KEY, b"[" * 10_000)],
            "promised": [
                promised_layer(payload(lab.digest_of(whole))),
                promised_layer(payload(lab.digest_of(manifest)), STRANGER),
                promised_layer(payload(lab.digest_of(manifest))),
            ],
            "promised-other-image": [promised_layer(payload(lab.digest_of(whole)))],
            "promised-other-kind": [promised_layer(payload(lab.digest_of(manifest), "something else"))],
            "promised-somebody": [
                promised_layer(payload(lab.digest_of(manifest)), subject="https://evil.example")
            ],
            "promised-stranger": [promised_layer(payload(lab.digest_of(manifest)), STRANGER)],
            "promised-too-late": [
                promised_layer(payload(lab.digest_of(manifest)), at=LAB.now + timedelta(hours=1))
            ],
        }.items():
            digest = server.push(f"disks/{name}", "v1", manifest, layer)
            server.push(f"disks/{name}", signature_tag(lab_digest(digest)), image(*layers), *layers)
        yield server


@pytest.mark.parametrize("name", ["good", "index"])
async def test_a_bundle_in_a_registry_counts(tmp_path: Path, registry: RegistryServer, name: str) -> None:
    """Of several the one that holds; on the index that was named, or on the image itself."""
    more = rule(registry.host, tmp_path)
    async with running(tmp_path, registry, oci=HTTP, **more) as service:
        ended = await service.run(url=f"oci://{registry.place}/disks/{name}:v1", disk_format="qcow2")
        assert state_of(ended, DISK) == "ok", ended["verdict"]
        assert ended["verified_by"] == "signed-manifest"
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert story["manifest"] == {"signature": "good", "signer": SIGNER}
        assert story["publisher"]["is_signed"]


@pytest.mark.parametrize("name", ["bad", "none"])
async def test_k13_an_unsigned_image_in_a_registry_is_refused(
    tmp_path: Path, registry: RegistryServer, name: str
) -> None:
    """Where its publisher has to sign; where that is only pinned, it comes as what it is."""
    url = f"oci://{registry.place}/disks/{name}:v1"
    more = rule(registry.host, tmp_path)
    async with running(tmp_path, registry, oci=HTTP, **more) as service:
        ended = await service.run(url=url, disk_format="qcow2")
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "signature-required")
        assert service.traces() == []
    folder = tmp_path / "other"
    folder.mkdir()
    more = rule(registry.host, folder, required=False)
    async with running(folder, registry, oci=HTTP, **more) as service:
        ended = await service.run(url=url, disk_format="qcow2")
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "manifest")


@pytest.mark.parametrize("name", ["key", "other-key", "other-image", "other-kind", "no-json"])
async def test_a_signature_by_a_plain_key_counts(tmp_path: Path, registry: RegistryServer, name: str) -> None:
    """As `cosign sign --key` leaves it; a stranger's key and a payload about another image do not."""
    (tmp_path / "cosign.pub").write_bytes(pem_of(KEY))
    one = {"name": "lab", "hosts": [registry.host], "keys": [str(tmp_path / "cosign.pub")]}
    async with running(tmp_path, registry, oci=HTTP, publisher={"rules": [one]}) as service:
        ended = await service.run(url=f"oci://{registry.place}/disks/{name}:v1", disk_format="qcow2")
        wanted = ("ok", "signed-manifest") if name == "key" else ("signature-required", "none")
        assert (ended["verdict"]["code"], ended["verified_by"]) == wanted, ended["verdict"]


PROMISED = ["", "-other-image", "-other-kind", "-somebody", "-stranger", "-too-late"]


@pytest.mark.parametrize("name", PROMISED)
async def test_k15_a_signature_beside_an_image_counts_by_its_identity(
    tmp_path: Path, registry: RegistryServer, name: str
) -> None:
    """As `cosign sign` left it before its version 3: of several the one that holds, and no other."""
    more = rule(registry.host, tmp_path)
    async with running(tmp_path, registry, oci=HTTP, **more) as service:
        ended = await service.run(url=f"oci://{registry.place}/disks/promised{name}:v1", disk_format="qcow2")
        if name:
            assert (ended["state"], ended["verdict"]["code"]) == ("refused", "signature-required")
            assert service.traces() == []
            return
        assert state_of(ended, DISK) == "ok", ended["verdict"]
        assert ended["verified_by"] == "signed-manifest"
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert story["manifest"] == {"signature": "good", "signer": SIGNER}


async def test_the_list_of_referrers_is_asked_first(tmp_path: Path) -> None:
    """Registries of version 1.1 keep it themselves; blobs and manifests with other bytes prove nothing."""
    layer = file_layer(DISK, "disk.qcow2")
    manifest = image(layer)
    digest = lab.digest_of(manifest)
    signed, bundle = referrer(LAB.statement({"": digest.partition(":")[2]}))
    base = "/v2/disks/one"
    routes = {
        f"{base}/manifests/v1": serve(manifest),
        f"{base}/blobs/{lab.digest_of(DISK)}": serve(DISK),
        f"{base}/referrers/{digest}": serve(listed(signed)),
        f"{base}/manifests/{lab.digest_of(signed)}": serve(signed),
        f"{base}/blobs/{lab.digest_of(bundle.data)}": serve(bundle.data),
    }
    swapped = text(LAB.statement({"": digest.partition(":")[2]}))
    for name, code in (("", "ok"), ("manifests", "signature-required"), ("blobs", "signature-required")):
        there = dict(routes)
        if name:
            there[f"{base}/{name}/{lab.digest_of(signed if name == 'manifests' else bundle.data)}"] = serve(
                swapped
            )
        folder = tmp_path / (name or "good")
        folder.mkdir()
        async with Origin(there) as origin:
            more = rule(origin.host, folder)
            async with Running(folder, origin, oci=HTTP, **more) as service:
                url = f"oci://{origin.host}:{origin.port}/disks/one:v1"
                ended = await service.run(url=url, disk_format="qcow2")
                assert ended["verdict"]["code"] == code, ended["verdict"]


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
