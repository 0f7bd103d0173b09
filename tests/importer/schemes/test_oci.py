"""`oci://` against Debian's registry: what people push, and how registries have them log in."""

import base64
import gzip
import hashlib
import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from backports import zstd
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.images import qcow2
from tests.lab import registry as lab
from tests.lab.origin import Exchange, Origin
from tests.lab.registry import (
    Layer,
    RegistryServer,
    container_disk,
    file_layer,
    image,
    index,
    registry_server,
)
from tests.service import Running

DISK = qcow2(clusters=4)
OTHER = qcow2(clusters=6, seed=1)
TAR = container_disk(DISK)
PACKED = {"": lambda data: data, "+gzip": gzip.compress, "+zstd": zstd.compress}
HTTP = {"insecure_hosts": ["127.0.0.1"]}
# bcrypt of "hush": what docker-registry reads.
HTPASSWD = "lab:$2b$04$LuJyQ6sHILmWMCOt8awLXe7Z0G43202YWgO/joR.QxN.zsmQDXvE.\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An open registry with all kinds of images."""
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        for suffix, pack in PACKED.items():
            layer = Layer(data=pack(TAR), media_type=lab.TAR + suffix)
            server.push("disks/container", f"v1{suffix.replace('+', '-')}", image(layer), layer)
        one = file_layer(DISK, "disk.qcow2")
        notes = file_layer(b"some words", "README.md", "text/markdown")
        server.push("disks/artifact", "v1", image(notes, one), notes, one)
        two = file_layer(OTHER, "other.qcow2")
        server.push("disks/two", "v1", image(one, two), one, two)
        arm = image(two)
        server.push("disks/many", "arm", arm, two)
        server.push("disks/many", "amd", image(one), one)
        server.push("disks/many", "v1", index({"amd64": image(one), "arm64": arm}))
        yield server


def state_of(ended: dict[str, Any], disk: bytes = DISK) -> str:
    """How an import ended; one that has succeeded has made this very disk."""
    if ended["state"] == "succeeded":
        assert ended["digests"]["sha256"] == hashlib.sha256(disk).hexdigest()
    return str(ended["verdict"]["code"])


def running(folder: Path, server: RegistryServer, *origins: Origin, **sections: Any) -> Running:
    return Running(folder, server, *origins, **sections)  # type: ignore[arg-type] # it has a host and a port


@pytest.mark.parametrize("suffix", PACKED)
async def test_a_container_disk_becomes_an_image(
    tmp_path: Path, registry: RegistryServer, suffix: str
) -> None:
    """The disk comes out of the layer, packed in any of the ways that there are."""
    async with running(tmp_path, registry, oci=HTTP) as service:
        url = f"oci://{registry.place}/disks/container:v1{suffix.replace('+', '-')}"
        ended = await service.run(url=url, disk_format="qcow2")
        assert state_of(ended) == "ok", ended["verdict"]
        assert ended["verified_by"] == "manifest"
        assert ended["url"] == url


async def test_the_disk_of_an_artifact_is_found_by_its_title(
    tmp_path: Path, registry: RegistryServer
) -> None:
    """Of several disks the one that is named; nothing is guessed, and the choice is told."""
    async with running(tmp_path, registry, oci=HTTP) as service:
        base, fields = f"oci://{registry.place}/disks", {"disk_format": "qcow2"}
        assert state_of(await service.run(url=f"{base}/artifact:v1", **fields)) == "ok"
        ended = await service.run(url=f"{base}/two:v1", **fields)
        assert state_of(ended) == "registry-unusable"
        assert ended["verdict"]["fields"]["choices"] == ["disk.qcow2", "other.qcow2"]
        assert "Set disk" in ended["verdict"]["advice"]
        for disk in ("other.qcow2", "2"):
            ended = await service.run(url=f"{base}/two:v1", disk=disk, **fields)
            assert state_of(ended, OTHER) == "ok", ended["verdict"]


async def test_an_index_is_gone_through_by_architecture(tmp_path: Path, registry: RegistryServer) -> None:
    """The operator's, or that of the image's property; imports of two do not share one download."""
    async with running(tmp_path, registry, oci=HTTP) as service:
        fields = {"url": f"oci://{registry.place}/disks/many:v1", "disk_format": "qcow2"}
        first = await service.submit(**fields)
        second = await service.submit(**fields, properties={"hw_architecture": "aarch64"})
        assert state_of(await service.ended(first["id"])) == "ok"
        assert state_of(await service.ended(second["id"]), OTHER) == "ok"
        ended = await service.run(**fields, properties={"hw_architecture": "s390x"})
        assert state_of(ended) == "registry-unusable"
        assert ended["verdict"]["fields"]["choices"] == ["amd64", "arm64"]
        assert "hw_architecture" in ended["verdict"]["advice"]


async def test_a_digest_in_the_url_is_the_submitters_promise(
    tmp_path: Path, registry: RegistryServer
) -> None:
    """It names the manifest, which names the layer: what comes is what was named, whatever a tag says."""
    digest = lab.digest_of(image(file_layer(OTHER, "other.qcow2")))
    async with running(tmp_path, registry, oci=HTTP) as service:
        for name in (f"@{digest}", f":v1@{digest}"):
            url = f"oci://{registry.place}/disks/many{name}"
            ended = await service.run(url=url, disk_format="qcow2")
            assert state_of(ended, OTHER) == "ok", ended["verdict"]
            assert ended["verified_by"] == "submitter"
        wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
        ended = await service.run(url=f"oci://{registry.place}/disks/many@{wrong}")
        assert state_of(ended) == "registry-unusable"


async def test_a_probe_tells_what_is_in_the_registry(tmp_path: Path, registry: RegistryServer) -> None:
    """Size and digest of the layer, and its name; nothing is looked for beside it."""
    async with running(tmp_path, registry, oci=HTTP) as service:
        body = {"url": f"oci://{registry.place}/disks/artifact:v1"}
        _, found, _ = await service.call("POST", "/imports/probe", json=body)
        assert (found["accepted"], found["name"], found["size"]) == (True, "disk.qcow2", len(DISK)), found
        assert found["digest"] == lab.digest_of(DISK)
        assert found["checksum_file"] is None
        body = {"url": f"oci://{registry.place}/disks/none:v1"}
        _, found, _ = await service.call("POST", "/imports/probe", json=body)
        assert [refusal["code"] for refusal in found["refusals"]] == ["registry-unusable"]


async def test_names_are_taken_as_they_are(tmp_path: Path) -> None:
    """No registry, no tag and no folder is assumed; what is no reference is refused."""
    async with Running(tmp_path) as service:
        for url in (
            *("oci://debian", "oci://debian:12", "oci://h.example/debian", "oci://h.example/Debian:12"),
            *("oci://h.example/debian:12@sha256:12", "oci://h.example//debian:12", "oci:///debian:12"),
            *("oci://h.example/../x:1", "oci://h.example/debian:1?x=y", "oci://h.example/debian:-1"),
        ):
            status, told, _ = await service.call("POST", "/imports", json={"url": url})
            assert (status, told["code"]) == (400, "url-invalid"), url
        body = {"url": "oci://h.example/x:1", "s3": {"region": "x"}}
        status, told, _ = await service.call("POST", "/imports", json=body)
        assert (status, told["field"]) == (400, "s3")


class Ground:
    """Certificates for a registry and for its tokens."""

    def __init__(self, folder: Path) -> None:
        ca = trustme.CA()
        self.leaf = ca.issue_cert("127.0.0.1")
        self.authority = folder / "ca.pem"
        self.authority.write_bytes(ca.cert_pem.bytes())
        self.files = {"certificate": str(folder / "tls.pem"), "key": str(folder / "tls.key")}
        Path(self.files["certificate"]).write_bytes(
            b"".join(pem.bytes() for pem in self.leaf.cert_chain_pems)
        )
        Path(self.files["key"]).write_bytes(self.leaf.private_key_pem.bytes())
        self.trusted = {"ca_file": str(self.authority)}


async def test_a_login_opens_a_registry_that_asks_for_one(tmp_path: Path) -> None:
    """In the URL or in headers; without it, and with a wrong one, the answer says what to give."""
    ground, layer = Ground(tmp_path), Layer(data=TAR)
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    with registry_server(tmp_path) as plain:
        plain.push("disk", "v1", image(layer), layer)
    auth = {"htpasswd": {"realm": "lab", "path": str(tmp_path / "htpasswd")}}
    with registry_server(tmp_path, tls=ground.files, auth=auth) as server:
        async with running(tmp_path, server, tls=ground.trusted) as service:
            url = f"oci://{server.place}/disk:v1"
            ended = await service.run(url=url, disk_format="qcow2")
            assert state_of(ended) == "registry-unusable"
            assert "Authorization: Basic" in ended["verdict"]["advice"]
            ended = await service.run(url=url.replace("//", "//lab:hush@"), disk_format="qcow2")
            assert state_of(ended) == "ok", ended["verdict"]
            assert (ended["url"], "hush" in str(ended)) == (url, False)
            ended = await service.run(url=url.replace("//", "//lab:wrong@"), disk_format="qcow2")
            assert "does not accept the login" in ended["verdict"]["title"]


def token_service(ground: Ground, folder: Path, scopes: list[str]) -> tuple[Callable[[Exchange], Any], str]:
    """Give out tokens as registries want them: for one repository, signed by a key that they trust."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
    now = datetime.now(UTC)
    day = timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle = folder / "tokens.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()

    def encode(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    async def serve(exchange: Exchange) -> None:
        query = parse_qs(exchange.request.target.partition("?")[2])
        scopes.append(query["scope"][0])
        at = int(time.time())
        _kind, name, actions = query["scope"][0].split(":")
        access = [{"type": "repository", "name": name, "actions": actions.split(",")}]
        claims = {
            "iss": "lab",
            "sub": "",
            "aud": query["service"][0],
            "jti": "1",
            "access": access,
            "iat": at,
            "nbf": at - 60,
            "exp": at + 300,
        }
        head = {"typ": "JWT", "alg": "RS256", "x5c": [chain]}
        text = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
        signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        body = json.dumps({"token": f"{text}.{encode(signature)}"}).encode()
        await exchange.send_head(200, {"Content-Length": len(body)})
        await exchange.send_body(body)

    return serve, str(bundle)


async def test_the_token_dance_of_a_real_registry(tmp_path: Path) -> None:
    """The registry says where its tokens are; one for this repository is asked for, and does."""
    ground, layer, scopes = Ground(tmp_path), Layer(data=TAR), list[str]()
    with registry_server(tmp_path) as plain:
        plain.push("team/disk", "v1", image(layer), layer)
    serve, bundle = token_service(ground, tmp_path, scopes)
    context = trustme_context(ground)
    async with Origin({"/token": serve}, tls=context) as tokens:
        auth = {
            "token": {
                "realm": tokens.url("/token"),
                "service": "lab registry",
                "issuer": "lab",
                "rootcertbundle": bundle,
            }
        }
        with registry_server(tmp_path, tls=ground.files, auth=auth) as server:
            async with running(tmp_path, server, tokens, tls=ground.trusted) as service:
                ended = await service.run(url=f"oci://{server.place}/team/disk:v1", disk_format="qcow2")
                assert state_of(ended) == "ok", ended["verdict"]
                assert set(scopes) == {"repository:team/disk:pull"}
                assert len(scopes) == 1
                url = f"oci://lab:hush@{server.place}/team/disk:v1"
                assert state_of(await service.run(url=url, disk_format="qcow2")) == "ok"
                sent = tokens.requests[-1].header("Authorization")
                assert sent == "Basic " + base64.b64encode(b"lab:hush").decode()


def trustme_context(ground: Ground) -> Any:
    """Serve with the certificate of the registry."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ground.leaf.configure_cert(context)
    return context
