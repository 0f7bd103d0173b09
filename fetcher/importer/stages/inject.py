"""The operator's rules for what is set on images: by who imports, from where, and what came of it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest
from fetcher.model import Actor, Blob, Image, Import, Visibility
from fetcher.settings.stages import InjectRule

GIB = 1 << 30
REACH: tuple[Visibility, ...] = ("private", "shared", "community", "public")  # From narrow to wide.


def matching(settings: Settings, actor: Actor, project_id: str, url: str) -> tuple[str, ...]:
    """Return the names of the rules that hold for a submission, as far as its beginning shows."""
    host = (urlsplit(url).hostname or "") if url else ""
    return tuple(
        rule.name
        for rule in settings.inject.rules
        if (not rule.projects or project_id in rule.projects)
        and (not rule.roles or actor.roles & set(rule.roles))
        and (not rule.sources or any(_is_host(host, pattern) for pattern in rule.sources))
    )


def _is_host(host: str, pattern: str) -> bool:
    pattern = pattern.lower().rstrip(".")
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def check_rules(settings: Settings, names: tuple[str, ...], image: Image) -> None:
    """Refuse at once what a rule will not have, whatever the bytes are.

    Raises:
        InvalidRequest: A property is missing or must not be set.
        Forbidden: More people would see the image than may.
    """
    for rule in _named(settings, names):
        if rule.disk_formats:
            continue  # Only the bytes show it.
        for name in rule.require:
            if name not in image.properties:
                reason = f"the operator's rule {rule.name} requires the property {name}"
                raise InvalidRequest(field=f"properties.{name}", reason=reason)
        for name in rule.forbid:
            if name in image.properties:
                reason = f"the operator's rule {rule.name} forbids the property {name}"
                raise InvalidRequest(field=f"properties.{name}", reason=reason)
        most = rule.max_visibility
        if most and REACH.index(image.visibility) > REACH.index(most):
            raise Forbidden(reason=f"the operator's rule {rule.name} allows at most visibility {most}")


def injected(settings: Settings, record: Import, blob: Blob) -> dict[str, Any]:
    """Return what the rules set on an image, and their names; nothing where none holds."""
    found: dict[str, Any] = {"set": {}, "default": {}, "forbid": [], "min_disk": 0, "min_ram": 0, "rules": []}
    disk_format = record.format.disk_format if record.format else None
    for rule in _named(settings, record.submission.rules):
        if rule.disk_formats and disk_format not in rule.disk_formats:
            continue
        found["rules"].append(rule.name)
        found["set"] |= rule.set
        found["default"] |= rule.default
        found["forbid"] += rule.forbid
        found["min_ram"] = max(found["min_ram"], rule.min_ram)
        if rule.min_disk_from_virtual_size:
            found["min_disk"] = max(found["min_disk"], -(-(blob.virtual_bytes or blob.size) // GIB))
    return found if found["rules"] else {}


def _named(settings: Settings, names: tuple[str, ...]) -> Iterator[InjectRule]:
    return (rule for rule in settings.inject.rules if rule.name in names)
