"""What the code of the routes cannot say of itself, for the API document."""

from collections.abc import Callable
from typing import Any

from fetcher import errors
from fetcher.api.metadefs import (
    bodies,
    namespaces,
    objects,
    properties,
    resource_types,
    schemas,
    shapes,
    tags,
)
from fetcher.api.openapi.operations import JSON, Operation, Parameter
from fetcher.index.values import ITEM_ORDERS, METADEF_ORDERS

TAG = "Metadata definitions"
_TEXT = {"type": "string"}
_READ = (errors.NotFound,)
_BODY = (errors.WrongMediaType, errors.RequestTooLarge, errors.Conflict, errors.QuotaExceeded)


def _page(keys: tuple[str, ...]) -> tuple[Parameter, ...]:
    return (
        ("limit", {"type": "integer", "minimum": 0}, "The most entries to return; 0 returns none."),
        ("marker", _TEXT, "The name of the last entry of the page before."),
        ("sort_key", {"enum": list(keys)}, "What to sort by."),
        ("sort_dir", {"enum": ["asc", "desc"]}, "The direction to sort in."),
    )


def _get(kind: Any, **more: Any) -> Operation:
    return Operation(tag=TAG, answers={200: kind}, ends_in=_READ, **more)


def _post(body: Any, kind: Any, **more: Any) -> Operation:
    bodies_by_type = {} if body is None else {JSON: body}
    return Operation(tag=TAG, bodies=bodies_by_type, answers={201: kind}, ends_in=(*_READ, *_BODY), **more)


def _put(body: Any, kind: Any) -> Operation:
    return Operation(tag=TAG, bodies={JSON: body}, answers={200: kind}, ends_in=(*_READ, *_BODY))


def _delete() -> Operation:
    return Operation(tag=TAG, answers={204: None}, ends_in=_READ)


_TYPE: tuple[Parameter, ...] = (
    ("resource_type", _TEXT, "Show property names with the prefix of this resource type."),
)
_NAMESPACES: tuple[Parameter, ...] = (
    *_page(METADEF_ORDERS),
    ("visibility", {"enum": ["public", "private"]}, "Only namespaces with this visibility."),
    ("resource_types", _TEXT, "Only namespaces for one of these resource types, separated by commas."),
)
_APPEND: tuple[Parameter, ...] = ((tags.APPEND, _TEXT, "`true` keeps the tags that are there."),)

OPERATIONS: dict[Callable[..., Any], Operation] = {
    schemas.show: _get(dict[str, Any], path={"name": {"enum": list(schemas.SCHEMAS)}}),
    namespaces.listing: _get(shapes.NamespacesAnswer, query=_NAMESPACES),
    namespaces.create: _post(bodies.NamespaceBody, shapes.NamespaceAnswer),
    namespaces.show: _get(shapes.NamespaceAnswer, query=_TYPE),
    namespaces.change: _put(bodies.NamespaceBody, shapes.NamespaceAnswer),
    namespaces.delete: _delete(),
    resource_types.listing: _get(shapes.ResourceTypesAnswer),
    resource_types.associations: _get(shapes.AssociationsAnswer),
    resource_types.associate: _post(bodies.AssociationBody, shapes.AssociationAnswer),
    resource_types.dissociate: _delete(),
    properties.listing: _get(shapes.PropertiesAnswer),
    properties.create: _post(bodies.NamedPropertyBody, bodies.NamedPropertyBody),
    properties.show: _get(bodies.NamedPropertyBody, query=_TYPE),
    properties.change: _put(bodies.NamedPropertyBody, bodies.NamedPropertyBody),
    properties.delete: _delete(),
    properties.delete_all: _delete(),
    objects.listing: _get(shapes.ObjectsAnswer, query=_page(ITEM_ORDERS)),
    objects.create: _post(bodies.ObjectBody, shapes.ObjectAnswer),
    objects.show: _get(shapes.ObjectAnswer),
    objects.change: _put(bodies.ObjectBody, shapes.ObjectAnswer),
    objects.delete: _delete(),
    objects.delete_all: _delete(),
    tags.listing: _get(shapes.TagsAnswer, query=_page(ITEM_ORDERS)),
    tags.create_all: _post(bodies.TagsBody, shapes.NewTagsAnswer, headers=_APPEND),
    tags.create: _post(None, shapes.TagAnswer),
    tags.show: _get(shapes.TagAnswer),
    tags.change: _put(bodies.TagBody, shapes.TagAnswer),
    tags.delete: _delete(),
    tags.delete_all: _delete(),
}
