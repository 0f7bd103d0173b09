"""Manifests of registries: which of the images of an index, and which of its layers is the disk."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fetcher.errors import RegistryUnusable
from fetcher.model import Digest

MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join(MEDIA_TYPES)
TITLE = "org.opencontainers.image.title"
# How images and registries call what OpenStack and kernels call otherwise.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm"}

_DIGEST = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")
_TAR = re.compile(
    r"application/vnd\.(oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)([.+](gzip|zstd))?\Z"
)
_DISK = re.compile(r"qemu|qcow2|raw|vmdk|vhdx?|vdi|iso|disk|ova", re.IGNORECASE)
_NAME = re.compile(
    r"\.(qcow2?|img|raw|vmdk|vhdx?|vdi|iso|ova)(\.(gz|xz|zst|bz2|lz4))?\Z|\.(tar|tgz|zip)(\.\w+)?\Z",
    re.IGNORECASE,
)


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a manifest."""

    digest: Digest
    size: int
    media_type: str = ""
    annotations: dict[str, str] = {}
    architecture: str = ""
    os: str = ""

    @property
    def title(self) -> str | None:
        """Return the file's name, where it has one."""
        title = self.annotations.get(TITLE, "")
        return title if title and title.isprintable() and len(title) <= 255 else None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One manifest; an index has images, an image has layers."""

    images: tuple[Descriptor, ...] = ()
    layers: tuple[Descriptor, ...] = ()
    is_index: bool = False


def parse_digest(text: object) -> Digest | None:
    """Read a digest as registries write it; None where it is none that can be compared with."""
    match = _DIGEST.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    return Digest(algorithm=match[1] or match[3], value=match[2] or match[4])


def parse_manifest(body: bytes) -> Manifest:
    """Read a manifest or an index.

    Raises:
        RegistryUnusable: It is neither.

    Source: OCI Image Format Specification, "Image Manifest" and "Image Index".
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RegistryUnusable(reason="what stands for its manifest is no JSON") from error
    if isinstance(document, dict) and isinstance(document.get("manifests"), list):
        return Manifest(images=_descriptors(document["manifests"]), is_index=True)
    if isinstance(document, dict) and isinstance(document.get("layers"), list):
        return Manifest(layers=_descriptors(document["layers"]))
    raise RegistryUnusable(reason="its manifest is of a kind that is not read here")


def _descriptors(items: list[Any]) -> tuple[Descriptor, ...]:
    return tuple(_descriptor(item if isinstance(item, dict) else {}) for item in items)


def _descriptor(item: dict[str, Any]) -> Descriptor:
    digest, size = parse_digest(item.get("digest")), item.get("size")
    if digest is None or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise RegistryUnusable(reason="its manifest names a part without a size or a digest to compare with")
    given = item.get("annotations")
    platform = item.get("platform")
    platform = platform if isinstance(platform, dict) else {}
    return Descriptor(
        digest=digest,
        size=size,
        media_type=str(item.get("mediaType") or ""),
        annotations={str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {},
        architecture=str(platform.get("architecture") or ""),
        os=str(platform.get("os") or ""),
    )


def choose_image(images: Sequence[Descriptor], architecture: str, disk_format: str | None) -> Descriptor:
    """Choose the image of an architecture; of several kinds of disk, the one that was asked for.

    Raises:
        RegistryUnusable: There is none, or it is not clear which one it is.
    """
    real = [one for one in images if "unknown" not in {one.architecture, one.os}]
    wanted = ARCHITECTURES.get(architecture, architecture)
    found = [one for one in real if ARCHITECTURES.get(one.architecture, one.architecture) == wanted]
    if not found and len(real) == 1 and not real[0].architecture:
        found = real
    if len(found) > 1:
        kind = {"raw": "applehv", "vhdx": "hyperv"}.get(disk_format or "", "qemu")
        found = [one for one in found if one.annotations.get("disktype") == kind] or found
    if len({one.digest for one in found}) == 1:
        return found[0]
    choices = sorted({one.architecture for one in real if one.architecture.isprintable()})
    reason = "its index has more than one image" if found else "its index has no image"
    raise RegistryUnusable(
        rule="architecture", reason=f"{reason} for the architecture {wanted}", choices=choices[:32] or None
    )


def archives_of(layers: Sequence[Descriptor]) -> list[Descriptor]:
    """Return those layers that are archives: of a containerDisk all are."""
    return [one for one in layers if _TAR.match(one.media_type) and one.title is None]


def choose_archive(archives: Sequence[Descriptor], disks: Mapping[str, int], disk: str | None) -> Descriptor:
    """Choose the layer with the disk that is seen, or the largest where none shows itself at its beginning.

    Args:
        archives: The lowest first.
        disks: The files that are seen, and in which layer each is.
        disk: Which one is meant, by its name or path.

    Raises:
        RegistryUnusable: It is not clear which one it is.
    """
    if not disks:
        return max(archives, key=lambda one: one.size)
    names = sorted(disks)
    named = [name for name in names if disk in {name, name.rpartition("/")[2]}]
    found = names if disk is None else named
    layers = {disks[name] for name in found}
    if len(layers) == 1:  # Of several in one layer, which it is, is settled where that is unpacked.
        return archives[layers.pop()]
    choices = [name if name.isprintable() else ascii(name) for name in names[:32]]
    raise RegistryUnusable(rule="layers", reason="it has several disks in its layers", choices=choices)


def choose_layer(layers: Sequence[Descriptor], disk: str | None) -> Descriptor:
    """Choose the layer that holds the disk.

    Of an artifact that is the one file that is a disk by its title or its media type; of a containerDisk,
    whose layers are archives, the only one: see `choose_archive` for several.

    Raises:
        RegistryUnusable: There is none, or it is not clear which one it is.
    """
    archives = archives_of(layers)
    files = [one for one in layers if one not in archives]
    if archives and not files:
        return max(archives, key=lambda one: one.size)
    named = [one for one in files if disk is not None and one.title == disk]
    if (
        not named
        and disk is not None
        and disk.isascii()
        and disk.isdecimal()
        and 1 <= int(disk) <= len(files)
    ):
        named = [files[int(disk) - 1]]
    if disk is None:
        disks = [one for one in files if _NAME.search(one.title or "")]
        named = disks or [one for one in files if _DISK.search(one.media_type)]
    if not named and disk is None and len(files) == 1:
        named = files
    if len(named) == 1:
        return named[0]
    choices = [one.title or f"(no title, {one.media_type[:60]})" for one in files][:32]
    reason = "it has several files and does not tell which is the disk" if files else "it has no layers"
    raise RegistryUnusable(rule="disk", reason=reason, choices=choices or None)
