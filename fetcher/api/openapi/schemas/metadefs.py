"""Answers about metadata definitions, as types: the API document is made from them."""

from datetime import datetime

from msgspec import UNSET, UnsetType

from fetcher.api.metadefs.bodies import PropertyBody
from fetcher.api.openapi.schemas.base import ResponseSchema

Optional = str | UnsetType


class TagName(ResponseSchema, frozen=True, kw_only=True):
    """A tag in a list."""

    name: str


class TagAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A tag of a namespace."""

    name: str
    created_at: datetime
    updated_at: datetime


class NewTagsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The tags that were made."""

    tags: list[TagName]


class TagsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A page of tags."""

    tags: list[TagName]
    first: str
    next: Optional = UNSET
    schema: str


class ResourceTypesAnswer(ResponseSchema, frozen=True, kw_only=True):
    """All resource types."""

    resource_types: list[TagAnswer]


class AssociationAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A resource type that a namespace is for."""

    name: str
    prefix: Optional = UNSET
    properties_target: Optional = UNSET
    created_at: datetime
    updated_at: datetime


class AssociationsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """All resource types that a namespace is for."""

    resource_type_associations: list[AssociationAnswer]


class PropertiesAnswer(ResponseSchema, frozen=True, kw_only=True):
    """All properties of a namespace by their names."""

    properties: dict[str, PropertyBody]


class ObjectAnswer(ResponseSchema, frozen=True, kw_only=True):
    """An object of a namespace."""

    name: str
    description: Optional = UNSET
    required: list[str]
    properties: dict[str, PropertyBody] | UnsetType = UNSET
    created_at: datetime
    updated_at: datetime
    self: str
    schema: str


class ObjectsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A page of objects."""

    objects: list[ObjectAnswer]
    first: str
    next: Optional = UNSET
    schema: str


class NamespaceAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A namespace, with what is in it where that is shown."""

    namespace: str
    display_name: Optional = UNSET
    description: Optional = UNSET
    visibility: str
    protected: bool
    owner: str
    created_at: datetime
    updated_at: datetime
    self: str
    schema: str
    resource_type_associations: list[AssociationAnswer] | UnsetType = UNSET
    properties: dict[str, PropertyBody] | UnsetType = UNSET
    objects: list[ObjectAnswer] | UnsetType = UNSET
    tags: list[TagName] | UnsetType = UNSET


class NamespacesAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A page of namespaces."""

    namespaces: list[NamespaceAnswer]
    first: str
    next: Optional = UNSET
    schema: str
