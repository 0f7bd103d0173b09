"""Metadata definitions as callers send them, checked, and as the items that the index keeps."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fetcher.api.body import convert
from fetcher.config import Settings
from fetcher.errors import Forbidden
from fetcher.index.values import Bounds, Item, Kind, Namespace

Name = Annotated[str, Meta(min_length=1, max_length=80)]
NamespaceName = Annotated[str, Meta(pattern=r"^[^/]{1,80}\Z", description="1 to 80 characters without /")]
Text = Annotated[str, Meta(max_length=65_535)] | None | UnsetType
Resolver = list[Name] | None | UnsetType
Type = Literal["array", "boolean", "integer", "number", "object", "string"]
Number = int | float | None | UnsetType
Amount = Annotated[int, Meta(ge=0)] | None | UnsetType
Switch = bool | None | UnsetType

READ_ONLY = ("created_at", "updated_at", "self", "schema")


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of what is sent; null is as good as nothing."""


T = TypeVar("T", bound=Body)


class ItemsBody(Body, frozen=True, kw_only=True):
    """The items of an array."""

    type: Type
    enum: list[Any] | UnsetType | None = UNSET


class PropertyBody(Body, frozen=True, kw_only=True):
    """A property: JSON Schema of its values, with words for people."""

    title: Annotated[str, Meta(max_length=65_535)]
    type: Type
    description: Text = UNSET
    operators: Resolver = UNSET
    default: Any = UNSET
    required: Resolver = UNSET
    readonly: Switch = UNSET
    confidential: Switch = UNSET
    enum: list[Any] | UnsetType | None = UNSET
    pattern: Text = UNSET
    minimum: Number = UNSET
    maximum: Number = UNSET
    min_length: Amount = msgspec.field(name="minLength", default=UNSET)
    max_length: Amount = msgspec.field(name="maxLength", default=UNSET)
    items: ItemsBody | UnsetType | None = UNSET
    min_items: Amount = msgspec.field(name="minItems", default=UNSET)
    max_items: Amount = msgspec.field(name="maxItems", default=UNSET)
    unique_items: Switch = msgspec.field(name="uniqueItems", default=UNSET)
    additional_items: Switch = msgspec.field(name="additionalItems", default=UNSET)
    name: Name | UnsetType | None = UNSET


class NamedPropertyBody(PropertyBody, frozen=True, kw_only=True):
    """A property that stands alone and so has its name in it."""

    name: Name


class ObjectBody(Body, frozen=True, kw_only=True):
    """An object: properties that belong together."""

    name: Name
    description: Text = UNSET
    required: Resolver = UNSET
    properties: dict[Name, PropertyBody] | UnsetType | None = UNSET


class TagBody(Body, frozen=True, kw_only=True):
    """A tag."""

    name: Name


class TagsBody(Body, frozen=True, kw_only=True):
    """Several tags at once."""

    tags: list[TagBody]


class AssociationBody(Body, frozen=True, kw_only=True):
    """A resource type that a namespace's definitions are for."""

    name: Name
    prefix: Annotated[str, Meta(max_length=80)] | UnsetType | None = UNSET
    properties_target: Annotated[str, Meta(max_length=80)] | UnsetType | None = UNSET


class NamespaceBody(Body, frozen=True, kw_only=True):
    """A namespace, with its content when it is new."""

    namespace: NamespaceName
    display_name: Annotated[str, Meta(max_length=80)] | UnsetType | None = UNSET
    description: Annotated[str, Meta(max_length=500)] | UnsetType | None = UNSET
    visibility: Literal["public", "private"] | UnsetType | None = UNSET
    protected: Switch = UNSET
    owner: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType | None = UNSET
    resource_type_associations: list[AssociationBody] | UnsetType | None = UNSET
    properties: dict[Name, PropertyBody] | UnsetType | None = UNSET
    objects: list[ObjectBody] | UnsetType | None = UNSET
    tags: list[TagBody] | UnsetType | None = UNSET

    def content(self) -> tuple[Item, ...]:
        """Return everything in it as items."""
        properties = (self.properties or {}).items()
        return (
            *(item_of("association", body) for body in self.resource_type_associations or ()),
            *(item_of("property", body, name) for name, body in properties),
            *(item_of("object", body) for body in self.objects or ()),
            *(item_of("tag", body) for body in self.tags or ()),
        )


def namespace_of(body: NamespaceBody, owner: str) -> Namespace:
    """Return a body's namespace; what it leaves out is as for a new one.

    Args:
        owner: The project that gets it where the body names none.
    """
    now = datetime.now(UTC)
    return Namespace(
        namespace=body.namespace,
        display_name=body.display_name or None,
        description=body.description or None,
        visibility=body.visibility or "private",
        is_protected=bool(body.protected),
        owner=body.owner or owner,
        created_at=now,
        updated_at=now,
    )


def item_of(kind: Kind, body: PropertyBody | ObjectBody | TagBody | AssociationBody, name: str = "") -> Item:
    """Return a body as an item; a property inside a namespace has its name from outside."""
    document = _without_null(msgspec.to_builtins(body))
    inner = document.pop("name", "")
    now = datetime.now(UTC)
    return Item(kind=kind, name=name or inner, document=document, created_at=now, updated_at=now)


def _without_null(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}


def read(document: dict[str, Any], kind: type[T], read_only: Iterable[str] = READ_ONLY) -> T:
    """Check a document against the type of a body.

    Raises:
        Forbidden: It has an attribute that is ours to write.
        InvalidRequest: It is not what the type wants; the field is named.
    """
    for name in read_only:
        if name in document:
            raise Forbidden(reason=f"attribute {name} is read-only")
    return convert(document, kind)


def bounds_of(settings: Settings) -> Bounds:
    """Return the operator's bounds on definitions."""
    return Bounds(**msgspec.structs.asdict(settings.metadefs))
