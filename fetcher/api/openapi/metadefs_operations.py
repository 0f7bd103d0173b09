"""Facts about the routes of metadata definitions that their code cannot state, for the API document."""

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
    tags,
)
from fetcher.api.openapi import metadefs_schemas as response_schemas
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
    namespaces.listing: _get(response_schemas.NamespacesAnswer, query=_NAMESPACES),
    namespaces.create: _post(bodies.NamespaceBody, response_schemas.NamespaceAnswer),
    namespaces.show: _get(response_schemas.NamespaceAnswer, query=_TYPE),
    namespaces.change: _put(bodies.NamespaceBody, response_schemas.NamespaceAnswer),
    namespaces.delete: _delete(),
    resource_types.listing: _get(response_schemas.ResourceTypesAnswer),
    resource_types.associations: _get(response_schemas.AssociationsAnswer),
    resource_types.associate: _post(bodies.AssociationBody, response_schemas.AssociationAnswer),
    resource_types.dissociate: _delete(),
    properties.listing: _get(response_schemas.PropertiesAnswer),
    properties.create: _post(bodies.NamedPropertyBody, bodies.NamedPropertyBody),
    properties.show: _get(bodies.NamedPropertyBody, query=_TYPE),
    properties.change: _put(bodies.NamedPropertyBody, bodies.NamedPropertyBody),
    properties.delete: _delete(),
    properties.delete_all: _delete(),
    objects.listing: _get(response_schemas.ObjectsAnswer, query=_page(ITEM_ORDERS)),
    objects.create: _post(bodies.ObjectBody, response_schemas.ObjectAnswer),
    objects.show: _get(response_schemas.ObjectAnswer),
    objects.change: _put(bodies.ObjectBody, response_schemas.ObjectAnswer),
    objects.delete: _delete(),
    objects.delete_all: _delete(),
    tags.listing: _get(response_schemas.TagsAnswer, query=_page(ITEM_ORDERS)),
    tags.create_all: _post(bodies.TagsBody, response_schemas.NewTagsAnswer, headers=_APPEND),
    tags.create: _post(None, response_schemas.TagAnswer),
    tags.show: _get(response_schemas.TagAnswer),
    tags.change: _put(bodies.TagBody, response_schemas.TagAnswer),
    tags.delete: _delete(),
    tags.delete_all: _delete(),
}
