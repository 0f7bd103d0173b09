"""The values of metadata definitions: namespaces, what is in them, and what is asked of them."""

from datetime import datetime
from typing import Any, Literal

import msgspec

Kind = Literal["association", "object", "property", "tag"]
Mode = Literal["skip", "merge", "update", "replace"]

METADEF_ORDERS = (
    "created_at",
    "updated_at",
    "namespace",
    "display_name",
    "description",
    "visibility",
    "protected",
    "owner",
    "id",
)
ITEM_ORDERS = ("created_at", "updated_at", "name", "id")
Whole = tuple["Namespace", list["Item"]]


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """A namespace of metadata definitions.

    Args:
        owner: The project that sees it while it is private.
    """

    namespace: str
    display_name: str | None = None
    description: str | None = None
    visibility: Literal["public", "private"] = "private"
    is_protected: bool = False
    owner: str
    created_at: datetime
    updated_at: datetime


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A property, object, tag or association of a namespace.

    Args:
        document: What it says beside its name.
    """

    kind: Kind
    name: str
    document: dict[str, Any] = {}
    created_at: datetime
    updated_at: datetime


class At(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a namespace: all items of a kind, or the one with a name."""

    namespace: str
    kind: Kind
    name: str | None = None


class ResourceType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of resource that definitions can be for."""

    name: str
    created_at: datetime


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list.

    Args:
        limit: None for all.
        marker: The name of the entry before the first one.
    """

    sort_key: str = "created_at"
    is_descending: bool = True
    limit: int | None = None
    marker: str | None = None


class NamespaceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a list of namespaces.

    Args:
        resource_types: Only those that are associated with one of these; None for all.
    """

    page: Page
    visibility: str | None = None
    resource_types: tuple[str, ...] | None = None


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The most definitions that there may be.

    Args:
        max_items: Of each kind in one namespace.
        max_namespace_bytes: All documents of one namespace as JSON.
    """

    max_namespaces: int
    max_items: int
    max_namespace_bytes: int


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Items that are to be written.

    Args:
        replaces: Whether those of the same kind go first.
    """

    items: tuple[Item, ...]
    bounds: Bounds
    replaces: bool = False
