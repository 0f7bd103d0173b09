"""The Image API."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Count, Name, Positive, Section


class Remote(Section, frozen=True, kw_only=True):
    """Another image service that images may be pulled from."""

    region: Name
    url: Annotated[
        str, Meta(pattern=r"^https?://[^?#\s]*[^?#\s/]$", description="http(s)://host[:port][/path]")
    ]


class ImageApi(Section, frozen=True, kw_only=True):
    """The parts of the Image API v2 beside importing."""

    upload_role: Literal["member", "admin", "nobody"]
    default_visibility: Literal["private", "shared"]
    max_tags: Count
    max_properties: Count
    max_text_bytes: Positive
    max_members: Count
    remotes: list[Remote]
    copied_properties: list[str]
    locations: bool


class Metadefs(Section, frozen=True, kw_only=True):
    """Metadata definitions: descriptions of properties, for people who choose them."""

    max_namespaces: Count
    max_items: Count
    max_namespace_bytes: Count
