"""Wishes for an import among an image's properties, where a client has no other way."""

from typing import TypedDict

from fetcher.model import Image

DISK = "import_disk"
CONVERT_TO = "import_convert_to"


class Asked(TypedDict):
    """Fields of a submission."""

    disk: str | None
    convert_to: str | None


def asked_of(image: Image) -> Asked:
    """Return what an image's properties ask for."""
    return Asked(disk=image.properties.get(DISK) or None, convert_to=image.properties.get(CONVERT_TO) or None)
