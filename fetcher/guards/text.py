"""Limits on the text of one image's record: names, tags and properties are read with every list of images."""

from collections.abc import Iterable, Mapping

from fetcher.config import Settings
from fetcher.errors import QuotaExceeded
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec
from fetcher.model import text_bytes


def check_text(
    name: str | None, tags: Iterable[str], properties: Mapping[str, str], settings: Settings
) -> None:
    """Bound the text of a record in bytes, whatever it is spread over.

    Raises:
        QuotaExceeded: It is more than one image may have.
    """
    used, most = text_bytes(name, tags, properties), settings.image_api.max_text_bytes
    if used > most:
        raise QuotaExceeded(
            what="bytes of text in one image's name, tags and properties", quota=most, used=used
        )


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish the bound."""
    return (
        Limit(
            name="max_text_bytes",
            type="integer",
            value=settings.image_api.max_text_bytes,
            description="Name, tags and properties of one image together, in UTF-8.",
            guard="text",
        ),
    )


GUARD = GuardSpec(
    name="text", title="Text of records", sections=("image_api",), limits=limits, checks=(check_text,)
)
