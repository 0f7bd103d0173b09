"""The attributes of an image that callers may write: which there are, and what they may hold."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest, QuotaExceeded
from fetcher.guards.text import check_text
from fetcher.model import Actor, Visibility, is_property

Text = Annotated[str, Meta(max_length=255)]
Tag = Annotated[str, Meta(min_length=1, max_length=255)]
Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]
PropertyValue = Annotated[str, Meta(max_length=65_535)]

# The attribute's name in the API, what it may hold, and its field in the model.
WRITABLE: dict[str, tuple[Any, str]] = {
    "name": (Text | None, "name"),
    "disk_format": (Text | None, "disk_format"),
    "container_format": (Text | None, "container_format"),
    "visibility": (Visibility, "visibility"),
    "protected": (bool, "is_protected"),
    "os_hidden": (bool, "is_hidden"),
    "owner": (Annotated[str, Meta(min_length=1, max_length=255)], "project_id"),
    "min_disk": (Amount, "min_disk"),
    "min_ram": (Amount, "min_ram"),
    "tags": (list[Tag], "tags"),
}
READ_ONLY = frozenset(
    {"id", "status", "checksum", "os_hash_algo", "os_hash_value", "size", "virtual_size", "created_at"}
    | {"updated_at", "direct_url", "self", "file", "schema", "stores", "locations"}
)
UNTIL_BYTES = frozenset({"disk_format", "container_format"})


def check_name(name: str) -> None:
    """Refuse attributes that are ours to write, and names that no property may have.

    Raises:
        Forbidden: The name is read-only or reserved.
        InvalidRequest: It is no name.
    """
    if name == "locations":
        raise Forbidden(reason="locations is read-only: upload the bytes, or import them from their URL")
    if name in READ_ONLY:
        raise Forbidden(reason=f"attribute {name} is read-only")
    if name in WRITABLE or is_property(name):
        return
    if 0 < len(name) <= 255:
        raise Forbidden(reason=f"attribute {name} is reserved")
    raise InvalidRequest(field=name[:50], reason="a property's name has 1 to 255 characters")


def check_value(name: str, value: Any, settings: Settings) -> Any:
    """Check what an attribute is to hold, and give it in the model's form.

    Raises:
        InvalidRequest: It is not what the attribute holds, or not accepted here.
        QuotaExceeded: More tags than one image may have.
    """
    kind = WRITABLE[name][0] if name in WRITABLE else PropertyValue
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at ")[0].replace("`", "")
        raise InvalidRequest(field=name, reason=f"{name}: {reason[:1].lower()}{reason[1:]}") from error
    allowed = accepted(name, settings)
    if allowed is not None and found is not None and found not in allowed:
        words = ", ".join(allowed)
        raise InvalidRequest(
            field=name, reason=f"the {name} {found} is not accepted here; accepted are: {words}"
        )
    return check_tags(found, settings) if name == "tags" else found


def check_tags(tags: Iterable[str], settings: Settings) -> tuple[str, ...]:
    """Give tags once each and in order.

    Raises:
        QuotaExceeded: There are more than one image may have.
    """
    unique = tuple(sorted(set(tags)))
    limit = settings.image_api.max_tags
    if len(unique) > limit:
        raise QuotaExceeded(what="tags", quota=limit, used=len(unique))
    return unique


def check_properties(properties: dict[str, str], settings: Settings) -> None:
    """Bound how many properties an image has.

    Raises:
        QuotaExceeded: There are more than one image may have.
    """
    count_properties(properties, settings)
    check_text(None, (), properties, settings)  # Name and tags have bounds of their own.


def count_properties(names: Iterable[str], settings: Settings) -> None:
    """Refuse more properties than one image may have.

    Raises:
        QuotaExceeded: There are more.
    """
    limit = settings.image_api.max_properties
    used = sum(not name.startswith("os_glance") for name in names)
    if used > limit:
        raise QuotaExceeded(what="properties", quota=limit, used=used)


def check_right(name: str, value: Any, actor: Actor) -> None:
    """Refuse what takes an admin: to publish an image, and to give it to another project.

    Raises:
        Forbidden: The caller is none.
    """
    if actor.is_admin:
        return
    if name == "visibility" and value == "public":
        raise Forbidden(reason="only an admin may make an image public")
    if name == "owner" and value != actor.project_id:
        raise Forbidden(reason="only an admin may give an image to another project")


def accepted(name: str, settings: Settings) -> list[Any] | None:
    """Return the values that an attribute may have here; None where any of its type will do."""
    if name == "disk_format":
        return list(settings.format.disk_formats)
    return list(settings.format.container_formats) if name == "container_format" else None
