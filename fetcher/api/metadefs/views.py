"""Metadata definitions as the Image API shows them; what is not said is left out."""

from collections.abc import Iterable
from typing import Any

from fetcher.api.image_v2.resources.record import moment
from fetcher.index.values import Item, Namespace, ResourceType

SCHEMAS = "/v2/schemas/metadefs"
BASE = "/v2/metadefs/namespaces"

Document = dict[str, Any]


def namespace_view(namespace: Namespace, items: Iterable[Item] = ()) -> Document:
    """Show a namespace and what of its content is given."""
    by_kind: dict[str, list[Item]] = {}
    for item in items:
        by_kind.setdefault(item.kind, []).append(item)
    content = {
        "resource_type_associations": [association_view(item) for item in by_kind.get("association", ())],
        "properties": properties_view(by_kind.get("property", ())),
        "objects": [object_view(namespace.namespace, item) for item in by_kind.get("object", ())],
        "tags": [{"name": item.name} for item in by_kind.get("tag", ())],
    }
    own = {
        "namespace": namespace.namespace,
        "display_name": namespace.display_name,
        "description": namespace.description,
    }
    return {
        **{name: value for name, value in own.items() if value is not None},
        "visibility": namespace.visibility,
        "protected": namespace.is_protected,
        "owner": namespace.owner,
        **_moments(namespace),
        "self": f"{BASE}/{namespace.namespace}",
        "schema": f"{SCHEMAS}/namespace",
        **{name: value for name, value in content.items() if value},
    }


def properties_view(items: Iterable[Item]) -> Document:
    """Show properties by their names; each has its own name in it too, without a resource type's prefix."""
    return {item.name: property_view(item) for item in items}


def property_view(item: Item) -> Document:
    """Show one property."""
    return {"name": item.name, **item.document}


def object_view(namespace: str, item: Item) -> Document:
    """Show an object."""
    links = {"self": f"{BASE}/{namespace}/objects/{item.name}", "schema": f"{SCHEMAS}/object"}
    return {"name": item.name, "required": [], **item.document, **_moments(item), **links}


def tag_view(item: Item) -> Document:
    """Show a tag."""
    return {"name": item.name, **_moments(item)}


def association_view(item: Item) -> Document:
    """Show a resource type that a namespace is for."""
    return {"name": item.name, **item.document, **_moments(item)}


def type_view(kind: ResourceType) -> Document:
    """Show a resource type."""
    return {"name": kind.name, "created_at": moment(kind.created_at), "updated_at": moment(kind.created_at)}


def prefixed(items: Iterable[Item], prefix: str) -> list[Item]:
    """Return the items with a resource type's prefix before the names of all properties."""
    return [_prefixed(item, prefix) for item in items]


def _prefixed(item: Item, prefix: str) -> Item:
    fields = {name: getattr(item, name) for name in item.__struct_fields__}
    if item.kind == "property":
        return Item(**{**fields, "name": prefix + item.name, "document": property_view(item)})
    if item.kind == "object":
        document = dict(item.document)
        if "properties" in document:
            document["properties"] = {prefix + name: body for name, body in document["properties"].items()}
        if "required" in document:
            document["required"] = [prefix + name for name in document["required"]]
        return Item(**{**fields, "document": document})
    return item


def _moments(value: Namespace | Item) -> Document:
    return {"created_at": moment(value.created_at), "updated_at": moment(value.updated_at)}
