"""The values of lists of images, and what the index itself writes into an image's properties."""

from typing import Literal

import msgspec

from fetcher.index.values.reading import ANSWER_BYTES

FAILED_IMPORT = "os_glance_failed_import"  # The property in which Image API clients find it.

# The sort keys of the Image API.
SORT_KEYS = (
    "created_at",
    "id",
    "name",
    "status",
    "disk_format",
    "container_format",
    "size",
    "updated_at",
)

Operator = Literal["eq", "neq", "gt", "gte", "lt", "lte", "in"]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """One condition on the images of a list.

    Args:
        key: A sort key, another attribute of the Image API, `tag`, or `property`.
        name: The property's name, for `property`.
        values: One, or several for `in`.
    """

    key: str
    operator: Operator = "eq"
    name: str = ""
    values: tuple[str | int, ...]


class ImageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a list of images.

    Args:
        max_bytes: Fewer images are given than `limit` where their records hold more.
        sort: Keys of SORT_KEYS, each with whether it descends; ties are broken by age.
        marker: The id of the image before the first one.
    """

    filters: tuple[Filter, ...] = ()
    sort: tuple[tuple[str, bool], ...] = (("created_at", True),)
    limit: int
    max_bytes: int = ANSWER_BYTES
    marker: str | None = None
    visibility: str | None = None
    member_status: str = "accepted"
    owner: str | None = None
