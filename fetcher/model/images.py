"""Image records as the Image API v2 has them, and the bytes behind them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from fetcher.model.base import Value

Visibility = Literal["private", "shared", "community", "public"]


MemberStatus = Literal["pending", "accepted", "rejected"]


class Status(StrEnum):
    """An image's status, as the Image API v2 names it."""

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"


# Names of the Image API's own attributes: no custom property may take one.
RESERVED_PROPERTIES = frozenset(
    {
        *(
            "id",
            "owner",
            "name",
            "status",
            "visibility",
            "protected",
            "os_hidden",
            "tags",
            "file",
            "self",
            "schema",
        ),
        *("disk_format", "container_format", "size", "virtual_size", "min_disk", "min_ram", "stores"),
        *("checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at", "direct_url", "locations"),
        *("location", "deleted", "deleted_at"),
    }
)


def is_property(name: str) -> bool:
    """Return whether a custom property may have this name."""
    return 0 < len(name) <= 255 and name not in RESERVED_PROPERTIES and not name.startswith("os_glance")


def text_bytes(name: str | None, tags: Iterable[str], properties: Mapping[str, str]) -> int:
    """Return how many bytes of text an image's record holds, in UTF-8."""
    texts = (name or "", *tags, *properties, *properties.values())
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


class Blob(Value, frozen=True, kw_only=True):
    """Bytes in the store.

    Args:
        address: By which they are found, of all their digests.
    """

    address: str
    size: int
    digests: dict[str, str]
    virtual_bytes: int | None = None
    created_at: datetime


class Image(Value, frozen=True, kw_only=True):
    """A record of the Image API v2.

    Args:
        address: Of its bytes in the store.
        sha256: None also where nobody has computed it yet.
        import_id: The import that writes the image now; read only.
        staged_bytes: The size of the bytes that wait for glance-direct; read only.
    """

    id: str
    project_id: str
    name: str | None = None
    status: Status
    visibility: Visibility = "private"
    is_protected: bool = False
    is_hidden: bool = False
    disk_format: str | None = None
    container_format: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    address: str | None = None
    md5: str | None = None
    sha256: str | None = None
    sha512: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}
    import_id: str | None = None
    staged_bytes: int | None = None
    created_at: datetime
    updated_at: datetime


class Member(Value, frozen=True, kw_only=True):
    """A project that an image is shared with, and what it said to that."""

    image_id: str
    member_id: str
    status: MemberStatus
    created_at: datetime
    updated_at: datetime
