"""Answers about sources that were looked at before an import."""

from typing import Annotated, Any

from msgspec import Meta

from fetcher.api.openapi.schemas.base import ResponseSchema, Size
from fetcher.api.openapi.schemas.imports import HopAnswer
from fetcher.model import FormatVerdict


class RefusalAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The failure that an import would end by; `guard` is empty where the source itself lets it down."""

    guard: str
    code: str
    title: str
    advice: str
    fields: dict[str, Any]


class BesideAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A checksum file in the same folder that lists the image: to be given as checksum_url."""

    url: str
    name: str
    digest: str


class ProbeAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Findings of a look at a source; nothing is imported."""

    accepted: bool
    url: Annotated[str | None, Meta(description="Where the redirects end.")]
    redirects: list[HopAnswer]
    name: Annotated[str | None, Meta(description="What the image would be called.")]
    size: Size | None
    resumable: bool | None
    content_coding: str | None
    format: FormatVerdict | None
    digest: Annotated[str | None, Meta(description="What the checksum file that was named says.")]
    refusals: list[RefusalAnswer]
    checksum_file: BesideAnswer | None
