"""Changes to an image: the subset of JSON Patch that the Image API has, in its new and its old form.

New (`application/openstack-images-v2.1-json-patch`): `{"op": "replace", "path": "/name", "value": "x"}`.
Old (`application/openstack-images-v2.0-json-patch`): `{"replace": "/name", "value": "x"}`.
Source: RFC 6902 and RFC 6901; Image API v2, "Appendix B: HTTP patch media types".
"""

import re
from typing import Any, Literal, cast

import msgspec

from fetcher.api.body import parse
from fetcher.api.image_v2.attributes import (
    UNTIL_BYTES,
    WRITABLE,
    check_name,
    check_properties,
    check_right,
    check_value,
)
from fetcher.config import Settings
from fetcher.errors import Conflict, Forbidden, InvalidRequest, WrongMediaType
from fetcher.model import Actor, Image, Status

NEW = "application/openstack-images-v2.1-json-patch"
OLD = "application/openstack-images-v2.0-json-patch"
OPERATIONS = ("add", "remove", "replace")
MAX_CHANGES = 1000

Operation = Literal["add", "remove", "replace"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one attribute, checked as far as it can be without the image.

    Args:
        is_first: An `add` that must find nothing there, as in the old form.
    """

    operation: Operation
    name: str
    value: Any = None
    is_first: bool = False


def read_changes(media_type: str, body: bytes, settings: Settings) -> list[Change]:
    """Read a patch.

    Raises:
        WrongMediaType: It is in neither form.
        InvalidRequest: It is no such list, or a value is not what its attribute holds.
        Forbidden: It touches what callers may not write.
    """
    if media_type not in {NEW, OLD}:
        raise WrongMediaType(sent=media_type or "none", accepted=f"{NEW} or {OLD}")
    document = parse(body)
    if not isinstance(document, list) or len(document) > MAX_CHANGES:
        raise InvalidRequest(reason=f"a patch is a JSON array of at most {MAX_CHANGES} operations")
    return [_read_change(entry, settings, is_old=media_type == OLD) for entry in document]


def apply_changes(image: Image, changes: list[Change], actor: Actor, settings: Settings) -> Image:
    """Give the image as it is after all changes; it is all of them or none.

    Raises:
        Conflict: A property is not there, or is there already.
        Forbidden: An attribute cannot be removed, or not be changed any more.
        QuotaExceeded: There would be too many properties.
    """
    for change in changes:
        if change.name in WRITABLE:
            image = _change_attribute(image, change, actor)
        else:
            image = _change_property(image, change)
    check_properties(image.properties, settings)
    return image


def _read_change(entry: Any, settings: Settings, *, is_old: bool) -> Change:
    if not isinstance(entry, dict):
        raise InvalidRequest(reason="each operation of a patch is a JSON object")
    operation, path = _old_form(entry) if is_old else (entry.get("op"), entry.get("path"))
    if operation not in OPERATIONS:
        raise InvalidRequest(field="op", reason=f"an operation of a patch is one of {', '.join(OPERATIONS)}")
    name = read_pointer(path)
    check_name(name)
    if operation == "remove":
        return Change(operation="remove", name=name)
    if "value" not in entry:
        raise InvalidRequest(field="value", reason=f"the operation {operation} needs a value")
    return Change(
        operation=cast("Operation", operation),
        name=name,
        value=check_value(name, entry["value"], settings),
        is_first=is_old and operation == "add",
    )


def _old_form(entry: dict[str, Any]) -> tuple[str, Any]:
    found = [name for name in OPERATIONS if name in entry]
    if len(found) != 1:
        raise InvalidRequest(reason=f"an operation of a patch has exactly one of {', '.join(OPERATIONS)}")
    return found[0], entry[found[0]]


def read_pointer(path: Any) -> str:
    """Return the attribute that a JSON pointer of one step names.

    Raises:
        InvalidRequest: It is none, or leads deeper.

    Source: RFC 6901 sections 3 and 4.
    """
    if isinstance(path, str) and path.startswith("/locations/"):
        return "locations"  # The one attribute that has inner places; it is refused by its name.
    if not isinstance(path, str) or not re.fullmatch(r"/(?:[^~/]|~[01])+", path):
        raise InvalidRequest(field="path", reason="a path is a JSON pointer of one step, such as /name")
    return path[1:].replace("~1", "/").replace("~0", "~")


def _change_attribute(image: Image, change: Change, actor: Actor) -> Image:
    if change.operation == "remove":
        raise Forbidden(reason=f"the attribute {change.name} cannot be removed")
    field = WRITABLE[change.name][1]
    if change.value == getattr(image, field):
        return image
    if change.is_first:
        raise Conflict(reason=f"the attribute {change.name} is there already")
    if change.name in UNTIL_BYTES and image.status is not Status.QUEUED:
        raise Forbidden(reason=f"{change.name} is what the bytes are; only a queued image's can be changed")
    check_right(change.name, change.value, actor)
    return msgspec.structs.replace(image, **{field: change.value})


def _change_property(image: Image, change: Change) -> Image:
    is_there = change.name in image.properties
    if not is_there and change.operation != "add":
        raise Conflict(reason=f"the property {change.name} does not exist")
    if is_there and change.is_first:
        raise Conflict(reason=f"the property {change.name} is there already")
    properties = {name: value for name, value in image.properties.items() if name != change.name}
    if change.operation != "remove":
        properties[change.name] = change.value
    return msgspec.structs.replace(image, properties=properties)
