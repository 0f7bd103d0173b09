"""The data files of openstack-image-manager: YAML with names, versions, digests and properties.

images:
  - name: Ubuntu 24.04
    shortname: ubuntu-24.04
    meta: { architecture: x86_64, os_distro: ubuntu, os_version: "24.04", provided_until: none, ... }
    versions:
      - { version: "20260401", url: https://..., checksum: "sha256:HEX", build_date: 2026-04-01 }

All scalars are read as text, so that nothing becomes a date, a number or an object unasked. Anchors and
aliases are refused: a few lines of them can stand for more than memory holds.

Source: openstack-image-manager, etc/schema.yaml.
"""

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from fetcher.errors import CatalogueUnusable
from fetcher.parsers.catalogues.entry import (
    MAX_PROPERTIES,
    Entry,
    Reading,
    convert,
    day_of,
    digest_of,
    gather,
    normal_arch,
    plain_text,
    slug,
    whole_url,
)

MAX_WORD = 64  # An architecture, a format.
MAX_DEPTH = 16
MAX_EVENTS = 500_000
# They tell the manager what to do, or the reader of the file; they are no properties of an image.
NOT_FOR_IMAGES = frozenset(
    {
        "replace_frequency",
        "uuid_validity",
        "provided_until",
        "hotfix_hours",
        "image_description",
        "patchlevel",
    }
)

Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an image."""

    version: str
    url: str
    checksum: str | None = None
    build_date: str | None = None
    mirror_url: str | None = None
    checksum_url: str | None = None
    checksums_url: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a file."""

    name: str
    meta: dict[str, str | dict[str, object] | list[object] | None]
    format: str | None = None
    login: str | None = None
    shortname: str | None = None
    min_disk: Amount = 0
    min_ram: Amount = 0
    latest_url: str | None = None
    latest_checksum_url: str | None = None
    versions: list[Version] = []


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file."""

    images: list[Row]


def read_image_manager(text: bytes, *, max_entries: int) -> Reading:
    """Return the images of a file; one that cannot be asked for, or whose URL is none, is left out.

    Raises:
        CatalogueUnusable: It is no such file, or too much is in it.
    """
    file: File = convert(_load(text), File, "the file")
    none: list[Version | None] = [None]
    makers = (partial(_entry, row, version) for row in file.images for version in row.versions or none)
    found, left_out = gather(makers, max_entries)
    return Reading(entries=found, left_out=left_out)


def _load(text: bytes) -> object:
    """Read YAML without anything that stands for more than itself."""
    import yaml  # With the first such file: a start does not wait for it.

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    try:
        for number, event in enumerate(yaml.parse(text, Loader=loader)):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise CatalogueUnusable(reason="it has anchors or aliases")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or number > MAX_EVENTS:
                raise CatalogueUnusable(reason="it is nested too deeply or has too many values")
        return yaml.load(text, Loader=loader)  # noqa: S506 - makes nothing but text, lists and tables
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        raise CatalogueUnusable(reason="it is no YAML") from error


def _entry(row: Row, version: Version | None) -> Entry | None:
    """Return one version of an image, or the newest one where the file lists none."""
    if version is None:
        if row.latest_url is None:
            return None
        version = Version(version="latest", url=row.latest_url, checksums_url=row.latest_checksum_url)
    name = plain_text(row.name, "the name of an image")
    meta = {key: value for key, value in row.meta.items() if isinstance(value, str)}
    family = slug(meta.get("os_distro") or name.partition(" ")[0])
    names = _names(row, name, meta, family)
    serial = slug(plain_text(version.version, "a version"))
    if not names or not serial:
        raise CatalogueUnusable(reason="an image has no name that it could be asked for by")
    algorithm, _, value = (version.checksum or "").partition(":")
    digest = digest_of(algorithm, value)
    sums = version.checksums_url or version.checksum_url
    mirror = version.mirror_url
    return Entry(
        name=names[0],
        names=frozenset(names),
        title=name,
        family=family,
        version=names[0].partition(":")[2] or names[0],
        serial=serial,
        arch=normal_arch(plain_text(meta.get("architecture", "x86_64"), "an architecture", MAX_WORD)),
        url=whole_url(version.url, "the url of a version"),
        mirrors=(whole_url(mirror, "the mirror_url of a version"),) if mirror else (),
        digest=digest,
        checksum_url=whole_url(sums, "the checksum_url of a version") if sums and digest is None else None,
        disk_format=plain_text(row.format, "a format", MAX_WORD) if row.format else None,
        released=day_of(version.build_date) or day_of(serial),
        end_of_life=day_of(meta.get("provided_until")),
        login=plain_text(row.login, "the login of an image") if row.login else None,
        min_disk=row.min_disk,
        min_ram=row.min_ram,
        properties=_properties(meta, row.login),
    )


def _names(row: Row, name: str, meta: dict[str, str], family: str) -> list[str]:
    """Return the names of an image, the plainest first: `ubuntu:24.04`, its short name."""
    number, purpose = slug(meta.get("os_version", "")), slug(meta.get("os_purpose", "generic"))
    first, _, rest = name.partition(" ")
    names = []
    if number and purpose in {"generic", "oldgeneric"} and slug(rest) in {"", number}:
        names.append(f"{family}:{number}")
    if slug(first) and slug(rest):
        names.append(f"{slug(first)}:{slug(rest)}")
    names.append(slug(row.shortname or name))
    return [one for one in dict.fromkeys(names) if one and not one.startswith(":")]


def _properties(meta: dict[str, str], login: str | None) -> dict[str, str]:
    found = {
        plain_text(key, "a property's name"): plain_text(value, "a property")
        for key, value in meta.items()
        if key not in NOT_FOR_IMAGES and value not in {"", "null", "~", "None"}
    }
    if login:
        found["image_original_user"] = plain_text(login, "the login of an image")
    if len(found) > MAX_PROPERTIES:
        raise CatalogueUnusable(reason=f"an image has more than {MAX_PROPERTIES} properties")
    return found
