"""The Image API's answers beside images, as types: versions, stores, usage."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from fetcher.api.openapi.schemas.base import ResponseSchema


class VersionLink(ResponseSchema, frozen=True, kw_only=True):
    """The address of a version."""

    rel: Literal["self"]
    href: str


class Version(ResponseSchema, frozen=True, kw_only=True):
    """A version of the Image API."""

    id: str
    status: Literal["CURRENT", "SUPPORTED"]
    min_version: str
    max_version: str
    links: list[VersionLink]


class VersionsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """All versions of the Image API, the current one first."""

    versions: list[Version]


class StoreAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A store, as clients of several expect it."""

    id: str
    description: str
    default: Literal["true"]


class StoresAnswer(ResponseSchema, frozen=True, kw_only=True):
    """All stores: there is one."""

    stores: list[StoreAnswer]


class StoreDetail(ResponseSchema, frozen=True, kw_only=True):
    """A store, as an operator's tools expect it."""

    id: str
    description: str
    default: Literal["true"]
    type: Literal["file"]
    weight: int
    properties: dict[str, Any]


class StoresDetailAnswer(ResponseSchema, frozen=True, kw_only=True):
    """All stores with their details: there is one."""

    stores: list[StoreDetail]


class UsageFigures(ResponseSchema, frozen=True, kw_only=True):
    """The quota and the usage of a project."""

    limit: Annotated[int, Meta(ge=-1, description="-1 is no limit.")]
    usage: Annotated[int, Meta(ge=0)]


class UsageKinds(ResponseSchema, frozen=True, kw_only=True):
    """Of what there is a quota; sizes in MiB."""

    image_size_total: UsageFigures
    image_count_total: UsageFigures
    image_count_uploading: UsageFigures
    image_stage_total: UsageFigures


class UsageAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The quota and the usage of the caller's project."""

    usage: UsageKinds
