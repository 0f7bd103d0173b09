"""Layouts of a disk in a registry: an artifact whose layer is the file, or a containerDisk.

Sources: OCI Image Format Specification 1.1, "Guidelines for Artifact Usage"; KubeVirt, "containerDisk".
"""

import hashlib
import json
import re
import tarfile
from typing import Any

from fetcher.parsers.oci_manifests import ARCHITECTURES, TITLE

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.glance-fetcher.disk.v1"
TAR_TYPE = "application/vnd.oci.image.layer.v1.tar"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"
DISK_TYPES = {"qcow2": "application/x-qemu-disk", "iso": "application/x-iso9660-image"}
QEMU = 107  # The user and the group that KubeVirt runs qemu as.
BLOCK = 512


def digest_of(data: bytes) -> str:
    """Return the digest of a blob as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def file_name(name: str | None, disk_format: str | None) -> str:
    """Return what the file of an artifact is called: printable, no path, its format as its ending."""
    ending = f".{disk_format or 'raw'}"
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name or "disk").strip(".-")[:200] or "disk"
    return plain if plain.endswith(ending) else plain + ending


def architecture_of(properties: dict[str, str], default: str) -> str:
    """Return an image's architecture as containers call it."""
    named = properties.get("hw_architecture") or properties.get("architecture") or default
    return ARCHITECTURES.get(named, named)


def around_disk(size: int) -> tuple[bytes, bytes]:
    """Return what stands before and after a disk in the tar of a containerDisk.

    Nothing in it depends on the time or the image's name: the same disk always has the same digest.
    """
    folder = tarfile.TarInfo("disk")
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    disk = tarfile.TarInfo("disk/disk.img")
    disk.size, disk.mode = size, 0o440
    for member in (folder, disk):
        member.uid = member.gid = QEMU
    before = folder.tobuf(tarfile.PAX_FORMAT) + disk.tobuf(tarfile.PAX_FORMAT)
    return before, bytes(-size % BLOCK + 2 * BLOCK)


def container_config(architecture: str, layer_digest: str) -> bytes:
    """Write the configuration of a containerDisk, whose one layer is not packed."""
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    }
    return json.dumps(document, sort_keys=True).encode()


def artifact_manifest(layer: dict[str, Any], disk_format: str | None, title: str) -> bytes:
    """Write the manifest of a disk that is a file."""
    found = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": descriptor(EMPTY_TYPE, digest_of(EMPTY), len(EMPTY)),
        "layers": [
            layer
            | {"mediaType": DISK_TYPES.get(disk_format or "", "application/octet-stream")}
            | {"annotations": {TITLE: title}}
        ],
        "annotations": {TITLE: title, "org.openstack.image.disk_format": disk_format or "raw"},
    }
    return json.dumps(found, sort_keys=True).encode()


def container_manifest(layer: dict[str, Any], config: bytes, title: str) -> bytes:
    """Write the manifest of a containerDisk."""
    found = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, digest_of(config), len(config)),
        "layers": [layer | {"mediaType": TAR_TYPE}],
        "annotations": {TITLE: title},
    }
    return json.dumps(found, sort_keys=True).encode()


def descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    """Describe a blob."""
    return {"mediaType": media_type, "digest": digest, "size": size}
