"""The step for one image, found from the record there and the record here; nothing is changed."""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fetcher.cli.adopt.origin import Image
from fetcher.model import is_property


class Action(StrEnum):
    """The steps that an image may need."""

    CARRY = "carry"
    RESUME = "resume"
    RECORD = "record"
    UPDATE = "update"
    KEEP = "keep"
    CONFLICT = "conflict"
    CANNOT = "cannot"


TO_DO = frozenset({Action.CARRY, Action.RESUME, Action.RECORD, Action.UPDATE})
BYTES = frozenset({Action.CARRY, Action.RESUME})
PLAIN = ("name", "visibility", "protected", "os_hidden", "min_disk", "min_ram")
AT_CREATION = ("id", "owner", "disk_format", "container_format")
_READ_ONLY = frozenset(
    {"id", "owner", "status", "checksum", "size", "virtual_size", "created_at", "updated_at", "tags", "self"}
    | {"file", "schema", "stores", "locations", "direct_url", "os_hash_algo", "os_hash_value", "disk_format"}
    | {"container_format", *PLAIN}
)
# What locks the bytes is a key in the other cloud's key manager.
_ENCRYPTED = ("cinder_encryption_key_id", "os_encrypt_key_id")


@dataclass(frozen=True)
class Step:
    """One image and what is to be done for it.

    Args:
        image: As the origin shows it.
        action: What is to be done.
        why: Of a conflict, and of what cannot be carried over.
        changes: What differs in the record here, as attributes and their values.
        members: Whom it is shared with there, and what each answered.
        new_members: Those of them that are missing here, or answered otherwise.
        notes: What gets lost on the way, in words.
    """

    image: Image
    action: Action
    why: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    new_members: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "id": self.image["id"],
            "name": self.image.get("name"),
            "owner": self.image.get("owner"),
            "size": self.image.get("size"),
            "action": self.action,
            "why": self.why,
            "changes": sorted([*self.changes, *(["members"] if self.new_members else [])]),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Accepted:
    """The formats that the server here takes; None where it names none."""

    disk: Collection[str] | None = None
    container: Collection[str] | None = None


def step_for(  # noqa: PLR0913 - both records, and whom each is shared with
    image: Image,
    here: Image | None,
    accepted: Accepted,
    members: dict[str, str],
    members_here: dict[str, str],
    *,
    is_same: bool = False,
) -> Step:
    """Find what is to be done for an image.

    Args:
        image: As the origin shows it.
        here: As the server shows the image of the same id, if it has one.
        accepted: Which formats the server takes.
        members: Whom it is shared with there.
        members_here: Whom it is shared with here.
        is_same: The bytes here are known to be those there.
    """
    if why := _obstacle(image, accepted):
        return Step(image, Action.CANNOT, why)
    notes = _notes(image)
    if here is None:
        action = Action.RECORD if image["status"] == "queued" else Action.CARRY
        return Step(image, action, members=members, new_members=members, notes=notes)
    if why := _conflict(image, here, is_same=is_same):
        return Step(image, Action.CONFLICT, why)
    changes = _changes(image, here)
    new_members = {name: status for name, status in members.items() if members_here.get(name) != status}
    action = Action.UPDATE if changes or new_members else Action.KEEP
    if image["status"] == "active" and here["status"] in {"queued", "importing"}:
        action = Action.RESUME
    return Step(image, action, changes=changes, members=members, new_members=new_members, notes=notes)


def _obstacle(image: Image, accepted: Accepted) -> str:
    """Return why an image cannot be carried over; empty where it can."""
    status = image["status"]
    if status == "deactivated":
        return "it is deactivated: only admins get its bytes; reactivate it there first"
    if status not in {"active", "queued"}:
        return f"its status is {status}; run again once it is active"
    for name in _ENCRYPTED:
        if image.get(name):
            return f"it is encrypted ({name}): its key is in the other cloud's key manager"
    for what, known in (("disk_format", accepted.disk), ("container_format", accepted.container)):
        if image.get(what) and known is not None and image[what] not in known:
            return f"its {what} {image[what]} is not accepted here ([format] of config.toml)"
    return ""


def _conflict(image: Image, here: Image, *, is_same: bool) -> str:
    """Return why the image here is another one; empty where it is the same or has no bytes yet."""
    if image.get("owner") and here.get("owner") != image["owner"]:
        return f"owner: the image here belongs to {here.get('owner')}"
    if here["status"] in {"queued", "importing"}:
        return ""
    if image["status"] == "queued":
        return "bytes: the image here has some, the one there has none"
    return "" if is_same or has_same_bytes(image, here) else "bytes: those here have another hash"


def has_same_bytes(image: Image, here: Image) -> bool:
    """Return whether two records are of the same bytes, by the strongest digest that both show."""
    if image.get("os_hash_value") and image.get("os_hash_algo") == here.get("os_hash_algo"):
        return bool(image["os_hash_value"] == here.get("os_hash_value"))
    both = [(image.get(name), here.get(name)) for name in ("checksum", "size")]
    return both[0][0] is not None and all(there == ours for there, ours in both)


def _notes(image: Image) -> tuple[str, ...]:
    found = []
    if image["status"] == "active" and not image.get("os_hash_value"):
        found.append("no os_hash_value there: only the MD5 is compared")
    if len(image.get("locations") or ()) > 1 or "," in str(image.get("stores") or ""):
        found.append("several locations there, one store here")
    lost = sorted(
        name
        for name, value in image.items()
        if name not in _READ_ONLY and (not is_property(name) or not isinstance(value, str))
        if not name.startswith("os_glance") and value is not None
    )
    return (*found, *([f"left out: {', '.join(lost)}"] if lost else []))


def attributes(image: Image) -> dict[str, Any]:
    """Return what a record is made of here: all that the origin lets us keep."""
    names = (*AT_CREATION, *PLAIN)
    found = {name: image[name] for name in names if image.get(name) is not None}
    return {**found, "tags": sorted(image.get("tags") or ()), **_properties(image)}


def _properties(image: Image) -> dict[str, str]:
    return {
        name: value
        for name, value in image.items()
        if name not in _READ_ONLY and is_property(name) and isinstance(value, str)
    }


def _changes(image: Image, here: Image) -> dict[str, Any]:
    wanted = {name: value for name, value in attributes(image).items() if name not in AT_CREATION}
    shown = {**here, "tags": sorted(here.get("tags") or ())}
    return {name: value for name, value in wanted.items() if shown.get(name) != value}
