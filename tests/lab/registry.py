"""Registries on loopback: Debian's docker-registry as a real one, and what is put into it.

with registry_server(folder) as registry:
    registry.push("disks/one", "1.0", image([layer(disk, title="disk.qcow2")]))
"""

import contextlib
import hashlib
import http.client
import io
import json
import shutil
import ssl
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab.bucket import PATIENT_SECONDS, free_ports

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
TAR = "application/vnd.oci.image.layer.v1.tar"
TITLE = "org.opencontainers.image.title"


def digest_of(data: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(kw_only=True)
class Layer:
    """One blob, and what a manifest says of it."""

    data: bytes
    media_type: str = TAR
    annotations: dict[str, str] = field(default_factory=dict)

    def descriptor(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        found = {"mediaType": self.media_type, "digest": digest_of(self.data), "size": len(self.data)}
        return found | ({"annotations": self.annotations} if self.annotations else {})


def file_layer(data: bytes, title: str, media_type: str = "application/octet-stream") -> Layer:
    """A file as tools for artifacts push it."""
    return Layer(data=data, media_type=media_type, annotations={TITLE: title})


def container_disk(disk: bytes, name: str = "disk/disk.img") -> bytes:
    """The layer of a containerDisk: a tar with folder and disk."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        folder = tarfile.TarInfo("disk")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        member = tarfile.TarInfo(name)
        member.size = len(disk)
        archive.addfile(member, io.BytesIO(disk))
    return out.getvalue()


CONFIG = Layer(data=b"{}", media_type="application/vnd.oci.image.config.v1+json")


def image(*layers: Layer) -> bytes:
    """A manifest of an image."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": CONFIG.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return json.dumps(document).encode()


def index(images: Mapping[str, bytes], **annotations: str) -> bytes:
    """An index: a manifest for each architecture, and what build tools leave beside them."""
    manifests = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(manifest),
            "size": len(manifest),
            "platform": {
                "architecture": architecture,
                "os": "unknown" if architecture == "unknown" else "linux",
            },
            **({"annotations": annotations} if annotations else {}),
        }
        for architecture, manifest in images.items()
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode()


class RegistryServer:
    """One that runs and takes what is pushed."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.place = f"{self.host}:{port}"
        self._tls = tls

    def push(self, repository: str, tag: str, manifest: bytes, *layers: Layer) -> str:
        """Push an image whole; its digest comes back."""
        for layer in (*layers, CONFIG):
            _, fields = self.call("POST", f"/v2/{repository}/blobs/uploads/")
            location = fields["location"].partition(self.place)[2]
            mark = "&" if "?" in location else "?"
            status, _ = self.call("PUT", f"{location}{mark}digest={digest_of(layer.data)}", layer.data)
            assert status == 201
        kind = json.loads(manifest)["mediaType"]
        status, _ = self.call("PUT", f"/v2/{repository}/manifests/{tag}", manifest, kind)
        assert status == 201
        return digest_of(manifest)

    def call(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/octet-stream"
    ) -> tuple[int, dict[str, str]]:
        """Make a request."""
        connection = (
            http.client.HTTPSConnection(self.host, self.port, timeout=10, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(self.host, self.port, timeout=10)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}


@contextlib.contextmanager
def registry_server(
    folder: Path,
    *,
    port: int = 0,
    tls: Mapping[str, str] | None = None,
    auth: Mapping[str, Any] | None = None,
) -> Iterator[RegistryServer]:
    """Run one over the storage in a folder, which several may share one after the other.

    Args:
        tls: The files of certificate and key.
        auth: The section of the same name.
    """
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    port = port or free_ports(1)[0]
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "lab", **({"tls": dict(tls)} if tls else {})},
        **({"auth": dict(auth)} if auth else {}),
    }
    file = folder / f"registry-{port}.yml"
    file.write_text(json.dumps(config))  # JSON is YAML.
    context = ssl._create_unverified_context() if tls else None
    with (
        (folder / f"registry-{port}.log").open("wb") as log,
        subprocess.Popen([program, "serve", str(file)], stdout=log, stderr=log) as process,
    ):
        try:
            server = RegistryServer(port, context)
            _wait(server, process)
            yield server
        finally:
            process.kill()


def _wait(server: RegistryServer, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENT_SECONDS
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if server.call("GET", "/v2/")[0] in {200, 401}:
                return
        assert process.poll() is None, "docker-registry did not start"
        assert time.monotonic() < end, "docker-registry did not start in time"
        time.sleep(0.05)
