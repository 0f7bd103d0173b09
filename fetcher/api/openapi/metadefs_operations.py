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
from fetcher.api.openapi.operations import JSON, Operation, Parameter
from fetcher.api.openapi.schemas import metadefs as of_metadefs
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
    namespaces.listing: _get(of_metadefs.NamespacesAnswer, query=_NAMESPACES),
    namespaces.create: _post(bodies.NamespaceBody, of_metadefs.NamespaceAnswer),
    namespaces.show: _get(of_metadefs.NamespaceAnswer, query=_TYPE),
    namespaces.change: _put(bodies.NamespaceBody, of_metadefs.NamespaceAnswer),
    namespaces.delete: _delete(),
    resource_types.listing: _get(of_metadefs.ResourceTypesAnswer),
    resource_types.associations: _get(of_metadefs.AssociationsAnswer),
    resource_types.associate: _post(bodies.AssociationBody, of_metadefs.AssociationAnswer),
    resource_types.dissociate: _delete(),
    properties.listing: _get(of_metadefs.PropertiesAnswer),
    properties.create: _post(bodies.NamedPropertyBody, bodies.NamedPropertyBody),
    properties.show: _get(bodies.NamedPropertyBody, query=_TYPE),
    properties.change: _put(bodies.NamedPropertyBody, bodies.NamedPropertyBody),
    properties.delete: _delete(),
    properties.delete_all: _delete(),
    objects.listing: _get(of_metadefs.ObjectsAnswer, query=_page(ITEM_ORDERS)),
    objects.create: _post(bodies.ObjectBody, of_metadefs.ObjectAnswer),
    objects.show: _get(of_metadefs.ObjectAnswer),
    objects.change: _put(bodies.ObjectBody, of_metadefs.ObjectAnswer),
    objects.delete: _delete(),
    objects.delete_all: _delete(),
    tags.listing: _get(of_metadefs.TagsAnswer, query=_page(ITEM_ORDERS)),
    tags.create_all: _post(bodies.TagsBody, of_metadefs.NewTagsAnswer, headers=_APPEND),
    tags.create: _post(None, of_metadefs.TagAnswer),
    tags.show: _get(of_metadefs.TagAnswer),
    tags.change: _put(bodies.TagBody, of_metadefs.TagAnswer),
    tags.delete: _delete(),
    tags.delete_all: _delete(),
}
