"""Publishers that sign with an identity in registries: bundles that refer to an image, and what is beside."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fetcher.model import Digest
from fetcher.parsers.oci_signatures import referrers_tag, signature_tag
from tests.guards.test_sigstore_publishers import LAB, SIGNER, STRANGER, rule, text
from tests.images import qcow2
from tests.importer.schemes.test_oci import HTTP, running, state_of
from tests.lab import registry as lab
from tests.lab.behaviours import redirect, serve
from tests.lab.canary import Canary
from tests.lab.origin import Exchange, Origin
from tests.lab.registry import Layer, RegistryServer, file_layer, image, index, registry_server
from tests.lab.sigstore import BUNDLE, Sigstore, b64, new_key, sign
from tests.service import Running
from tests.transport.test_plain_signatures import pem_of

DISK = qcow2(clusters=4)


def referrer(bundle: dict[str, Any]) -> tuple[bytes, Layer]:
    """A manifest that holds a bundle."""
    layer = Layer(data=text(bundle), media_type=BUNDLE)
    document = json.loads(image(layer)) | {"artifactType": BUNDLE}
    return json.dumps(document).encode(), layer


def listed(*manifests: bytes) -> bytes:
    """The stand-in for a list of referrers."""
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
    """The payload that `cosign sign --key` signs."""
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
    """An image is refused where its publisher has to sign; else it comes as what it is."""
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


async def test_a_signature_by_a_plain_key_counts(tmp_path: Path, registry: RegistryServer) -> None:
    """As `cosign sign --key` leaves it; a stranger's key and a payload about another image do not."""
    (tmp_path / "cosign.pub").write_bytes(pem_of(KEY))
    one = {"name": "lab", "hosts": [registry.host], "keys": [str(tmp_path / "cosign.pub")]}
    async with running(tmp_path, registry, oci=HTTP, publisher={"rules": [one]}) as service:
        for name in ("other-key", "other-image", "other-kind", "no-json", "key"):
            ended = await service.run(url=f"oci://{registry.place}/disks/{name}:v1", disk_format="qcow2")
            wanted = ("ok", "signed-manifest") if name == "key" else ("signature-required", "none")
            assert (ended["verdict"]["code"], ended["verified_by"]) == wanted, (name, ended["verdict"])


PROMISED = ["-other-image", "-other-kind", "-somebody", "-stranger", "-too-late"]


async def test_k15_a_signature_beside_an_image_counts_by_its_identity(
    tmp_path: Path, registry: RegistryServer
) -> None:
    """As `cosign sign` left it before its version 3: of several the one that holds, and no other."""
    more = rule(registry.host, tmp_path)
    async with running(tmp_path, registry, oci=HTTP, **more) as service:
        url = f"oci://{registry.place}/disks/promised"
        for name in PROMISED:
            ended = await service.run(url=f"{url}{name}:v1", disk_format="qcow2")
            assert (ended["state"], ended["verdict"]["code"]) == ("refused", "signature-required"), name
            assert service.traces() == []
        ended = await service.run(url=f"{url}:v1", disk_format="qcow2")
        assert state_of(ended, DISK) == "ok", ended["verdict"]
        assert ended["verified_by"] == "signed-manifest"
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert story["manifest"] == {"signature": "good", "signer": SIGNER}


async def endless(exchange: Exchange) -> None:
    """Send for as long as somebody reads."""
    await exchange.send_head(200, {"Connection": "close"})
    while True:
        await exchange.send_body(b" " * 65_536)


async def test_k17_what_lies_beside_an_image_costs_little_and_leads_nowhere(tmp_path: Path) -> None:
    """A payload or a list without end, one that is elsewhere and inside, any number of signatures."""
    layer = file_layer(DISK, "disk.qcow2")
    manifest = image(layer)
    digest = lab.digest_of(manifest)
    good, tag = promised_layer(payload(digest)), signature_tag(lab_digest(digest))
    async with Canary() as canary:
        inside = redirect(f"http://{canary.host}:{canary.port}/x")
        crowd = [promised_layer(payload(digest), STRANGER) for _ in range(40)]
        hostile = {
            "endless": (image(good), endless),
            "inside": (image(good), inside),
            "crowd": (image(*crowd), serve(crowd[0].data)),
            "manifest": (None, endless),
            "index": (index({"amd64": manifest}), serve(b"")),
        }
        routes = {}
        for name, (signatures, behaviour) in hostile.items():
            base = f"/v2/disks/{name}"
            routes |= {
                f"{base}/manifests/v1": serve(manifest),
                f"{base}/blobs/{lab.digest_of(DISK)}": serve(DISK),
                f"{base}/manifests/{tag}": behaviour if signatures is None else serve(signatures),
                f"{base}/blobs/{lab.digest_of(good.data)}": behaviour,
            }
        async with Origin(routes) as origin:
            more = rule(origin.host, tmp_path)
            async with Running(tmp_path, origin, oci=HTTP, **more) as service:
                for name in hostile:
                    before = len(origin.requests)
                    url = f"oci://{origin.host}:{origin.port}/disks/{name}:v1"
                    ended = await service.run(url=url, disk_format="qcow2")
                    assert ended["state"] in {"refused", "failed"}, name
                    assert service.traces() == []
                    assert len(origin.requests) - before < 40, name
        assert canary.accepted == 0


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
