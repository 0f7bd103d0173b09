"""Simplestreams: what Ubuntu, Incus and LXD publish their images with.

index    = { "format": "index:1.0", "index": { id: { "format": "products:1.0", "path": PATH } } }
products = { "format": "products:1.0", "products": { id: product } }
product  = { ..., "versions": { serial: { ..., "items": { id: item } } } }
item     = { ..., "ftype": TYPE, "path": PATH, "sha256": HEX, "size": N }

What stands at one level holds for all below it that do not say otherwise. Paths are relative to the folder
that `streams/` is in, and are taken only where they stay below it.

Source: https://git.launchpad.net/simplestreams, doc/ (index:1.0, products:1.0).
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import msgspec

from fetcher.errors import CatalogueUnusable
from fetcher.model import Digest
from fetcher.parsers.catalogues.entry import (
    Entry,
    Moment,
    Reading,
    below,
    convert,
    day_of,
    digest_of,
    gather,
    normal_arch,
    plain_text,
    slug,
)

Table = dict[str, Any]
Tables = dict[str, Table]

# Best first: disks that boot without more. Archives of files and parts of disks are no images here.
DISKS = {
    "disk1.img": "qcow2",
    "disk-kvm.img": "qcow2",
    "uefi1.img": "qcow2",
    "disk.qcow2": "qcow2",
    "qcow2": "qcow2",
    "disk.img": "qcow2",
    "img": None,
    "raw": "raw",
    "vmdk": "vmdk",
    "iso": "iso",
}
STRONGEST_FIRST = ("sha512", "sha384", "sha256", "sha1", "md5")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A file of products that an index names.

    Args:
        path: Relative to the folder that `streams/` is in.
    """

    path: str


def read_index(text: bytes, *, max_parts: int) -> tuple[list[Part], Moment | None]:
    """Return the files that hold images to download, and when the index was written.

    Raises:
        CatalogueUnusable: It is no index, or names more files than may be.
    """
    document = _document(text, "index:1.0")
    rows = convert(document.get("index"), Tables, "the index")
    parts = []
    for row in rows.values():
        if (
            row.get("format") == "products:1.0"
            and row.get("datatype", "image-downloads") == "image-downloads"
        ):
            below("https://catalogue.invalid", row.get("path"), "the path of a file of products")
            parts.append(Part(path=row["path"].strip()))
    if len(parts) > max_parts:
        raise CatalogueUnusable(reason=f"it names more than {max_parts:,} files of products")
    return parts, _moment(document)


def read_products(text: bytes, base: str, *, max_entries: int) -> Reading:
    """Return the images of a file of products; one whose path leaves the base is left out.

    Args:
        text: JSON.
        base: The URL that paths are below.
        max_entries: More make it unusable.

    Raises:
        CatalogueUnusable: It is no such file, or too much is in it.
    """
    document = _document(text, "products:1.0")
    products = convert(document.get("products"), Tables, "the products")
    above = _inherited(document)
    makers = (
        partial(_entry, product_id, serial, {**above, **product}, version, base)
        for product_id, product in products.items()
        for serial, version in convert(
            product.get("versions", {}), Tables, "the versions of a product"
        ).items()
    )
    found, left_out = gather(makers, max_entries)
    return Reading(entries=found, left_out=left_out, updated=_moment(document))


def _document(text: bytes, kind: str) -> Table:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise CatalogueUnusable(reason="it is no JSON, or is nested too deeply") from error
    if not isinstance(document, dict) or document.get("format") != kind:
        raise CatalogueUnusable(reason=f"its format is not {kind}")
    return document


def _moment(document: Table) -> Moment | None:
    try:
        moment = parsedate_to_datetime(plain_text(document.get("updated"), "a moment", 64))
    except (CatalogueUnusable, TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _inherited(table: Table) -> Table:
    return {key: value for key, value in table.items() if isinstance(value, str | int | bool)}


def _best(items: Tables) -> Table | None:
    ranked = {ftype: rank for rank, ftype in enumerate(DISKS)}
    disks = [item for item in items.values() if item.get("ftype") in ranked and item.get("path")]
    return min(disks, key=lambda item: ranked[item["ftype"]], default=None)


def _names(product: Table, family: str) -> list[str]:
    """Return the names of a product, the plainest first: version, release, aliases, each with its variant."""
    variant = slug(_text(product, "variant"))
    end = f"-{variant}" if variant not in {"", "default"} else ""
    names = [
        f"{family}:{slug(_text(product, key))}{end}" for key in ("version", "release") if product.get(key)
    ]
    for alias in _text(product, "aliases", 4096).split(","):
        first, slash, rest = alias.strip().partition("/")
        if slash and slug(rest):
            names.append(f"{slug(first)}:{slug(rest.removesuffix('/default'))}")
        elif slug(alias):
            names.append(f"{family}:{slug(alias)}{end}")
    return list(dict.fromkeys(name for name in names if not name.startswith(":") and not name.endswith(":")))


def _entry(product_id: str, serial: str, product: Table, version: Table, base: str) -> Entry | None:
    """Return the image of one version; None where it has no disk."""
    item = _best(convert(version.get("items", {}), Tables, "the items of a version"))
    family = slug(_text(product, "os") or plain_text(product_id, "the id of a product").partition(":")[0])
    names = _names(product, family)
    if item is None or not names:
        return None
    facts = {**_inherited(product), **_inherited(version), **item}
    number = names[0].partition(":")[2]
    serial = slug(plain_text(serial, "a serial"))
    if not serial:
        raise CatalogueUnusable(reason="a version has no serial")
    release = _text(facts, "release_title") or _text(facts, "release") or number
    size = facts.get("size")
    title = _text(facts, "pubname") or f"{_text(facts, 'os') or family} {release}"
    return Entry(
        name=names[0],
        names=frozenset(names),
        title=title,
        family=family,
        version=number,
        serial=serial,
        arch=normal_arch(_text(facts, "arch") or "x86_64"),
        url=below(base, facts.get("path"), "the path of an image"),
        digest=_digest(facts),
        size=size if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 2**63 else None,
        disk_format=DISKS[facts["ftype"]],
        released=day_of(serial),
        end_of_life=day_of(facts.get("support_eol") or facts.get("eol")),
        properties={"os_distro": family, "os_version": number},
    )


def _digest(facts: Mapping[str, Any]) -> Digest | None:
    found = (digest_of(name, facts.get(name)) for name in STRONGEST_FIRST)
    return next((digest for digest in found if digest is not None), None)


def _text(table: Mapping[str, Any], key: str, most: int = 255) -> str:
    value = table.get(key)
    return plain_text(value, f"the {key} of a product", most) if isinstance(value, str) else ""
