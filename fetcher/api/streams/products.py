"""Public images as simplestreams have them: an index, and one file of products.

Images with the same name and architecture are versions of one product; its names lead to the newest.

Source: https://git.launchpad.net/simplestreams, doc/ (index:1.0, products:1.0).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import msgspec

from fetcher.api.file_names import file_name
from fetcher.api.streams.machines import METADATA_NAMES, archive_of, is_machine
from fetcher.model import Image, Status
from fetcher.parsers.catalogues.entry import normal_arch, slug

PRODUCTS = "streams/v1/images.json"
CONTENT_ID = "glance-fetcher:images"
# What each disk format is called by those who read simplestreams; others have a metalink alone.
FTYPES = {"qcow2": "disk-kvm.img", "raw": "raw", "vmdk": "vmdk", "iso": "iso"}
# By Debian's names, as all publishers of simplestreams have them.
ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el", "i686": "i386"}
MAX_TEXT = 255

Table = dict[str, Any]


def is_published(image: Image) -> bool:
    """Return whether strangers may have an image."""
    return image.visibility == "public" and image.status is Status.ACTIVE and image.address is not None


def image_path(image: Image) -> str:
    """Return where an image's bytes are, below the folder that `streams/` is in."""
    return f"streams/images/{image.id}/{file_name(image)}"


def index_document(products: Table, path: str = PRODUCTS) -> Table:
    """Return the index: it names the one file of products."""
    row = {
        "datatype": "image-downloads",
        "format": "products:1.0",
        "path": path,
        "products": sorted(products),
    }
    return {"format": "index:1.0", "index": {CONTENT_ID: row}}


def products_of(
    images: Iterable[Image], fingerprint: Callable[[Image], str | None] = lambda _image: None
) -> Table:
    """Return the products that these images are versions of.

    Args:
        images: The oldest first, so that a serial that two have stays the older one's.
        fingerprint: By which Incus and LXD know an image; one without is listed as a disk alone.
    """
    products: Table = {}
    for image in images:
        is_listed = image.disk_format in FTYPES and image.container_format == "bare" and is_published(image)
        if is_listed and image.sha256 is not None:  # Readers of these lists know bytes by that digest.
            facts = _product(image)
            name = f"{facts['os']}:{facts['release']}:{slug(image.name or image.id)}:{facts['arch']}"
            product = products.setdefault(name, facts | {"versions": {}})
            product["versions"][_serial(image, product["versions"])] = _version(image, fingerprint)
    return products


def _product(image: Image) -> Table:
    name = (image.name or image.id)[:MAX_TEXT]
    properties = image.properties
    family = slug(properties.get("os_distro", "")) or slug(name) or image.id
    arch = normal_arch(properties.get("hw_architecture") or properties.get("architecture") or "x86_64")
    version = slug(properties.get("os_version", "")) or "latest"
    product = {
        "aliases": slug(name) or image.id,
        "arch": ARCHES.get(arch, arch),
        "os": family,
        "release": version,
        "release_title": name,
        "version": version,
    }
    end = properties.get("provided_until", "")[:10]
    return product | ({"support_eol": end} if end else {})


def _serial(image: Image, taken: Table) -> str:
    serial = f"{image.created_at:%Y%m%d%H%M%S}"
    return f"{serial}-{image.id[:8]}" if serial in taken else serial


def _version(image: Image, fingerprint: Callable[[Image], str | None]) -> Table:
    ftype = FTYPES[image.disk_format or ""]
    item = {
        "ftype": ftype,
        "path": image_path(image),
        "size": image.size,
        "sha256": image.sha256,
        **({"sha512": image.sha512} if image.sha512 else {}),
    }
    items: Table = {ftype: item}
    combined = fingerprint(image) if is_machine(image) else None
    if combined is not None:
        archive = archive_of(image)
        for name in METADATA_NAMES:
            items[name] = {
                "ftype": name,
                "path": f"streams/images/{image.id}/{name}",
                "size": len(archive.data),
                "sha256": archive.sha256,
                "combined_disk-kvm-img_sha256": combined,
            }
    return {"pubname": (image.name or image.id)[:MAX_TEXT], "label": "release", "items": items}


def dated(document: Table, updated: datetime) -> bytes:
    """Write a document, and when it was last another one."""
    return msgspec.json.encode({**document, "updated": format_datetime(updated)})


def oldest_first(images: Sequence[Image]) -> list[Image]:
    """Return images in the order in which they were made."""
    return sorted(images, key=lambda image: (image.created_at, image.id))
