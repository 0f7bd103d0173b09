"""Disks as virtual machines for Incus and LXD: beside each disk an archive with what they want to know of it.

incus.tar.xz = xz( tar( metadata.yaml ) ); the same file is offered as lxd.tar.xz
fingerprint  = sha256( incus.tar.xz, then the disk )

Source: lxc/incus, shared/simplestreams/products.go and cmd/incus-simplestreams.
"""

import hashlib
import io
import json
import lzma
import tarfile
from functools import lru_cache
from typing import Any

import msgspec

from fetcher.model import Image
from fetcher.parsers.catalogues.entry import normal_arch, slug

METADATA_NAMES = ("incus.tar.xz", "lxd.tar.xz")
MEDIA_TYPE = "application/x-xz"
MAX_TEXT = 255


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """The archive that stands beside a disk."""

    data: bytes
    sha256: str


def is_machine(image: Image) -> bool:
    """Return whether Incus and LXD boot such a disk."""
    return image.disk_format == "qcow2" and image.container_format == "bare" and image.sha256 is not None


def archive_of(image: Image) -> Archive:
    """Return the archive for an image, the same bytes for the same image."""
    properties = image.properties
    name = (image.name or image.id)[:MAX_TEXT]
    arch = normal_arch(properties.get("hw_architecture") or properties.get("architecture") or "x86_64")
    family = slug(properties.get("os_distro", "")) or slug(name) or image.id
    release = slug(properties.get("os_version", "")) or "latest"
    created = int(image.created_at.timestamp())
    return _archive(arch, created, family, release, name)


@lru_cache(maxsize=20_000)
def _archive(arch: str, created: int, family: str, release: str, name: str) -> Archive:
    metadata: dict[str, Any] = {
        "architecture": arch,
        "creation_date": created,
        "properties": {
            "architecture": arch,
            "description": name,
            "name": slug(name) or family,
            "os": family,
            "release": release,
            "variant": "default",
        },
        "templates": {},
    }
    text = json.dumps(metadata, sort_keys=True).encode()  # JSON is YAML.
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("metadata.yaml")
        member.size, member.mtime, member.mode = len(text), created, 0o644
        archive.addfile(member, io.BytesIO(text))
    data = lzma.compress(out.getvalue(), preset=0)
    return Archive(data=data, sha256=hashlib.sha256(data).hexdigest())
