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


class ImageLine(msgspec.Struct, gc=False):
    """An image as lists show it: what its row says, in the order of `LINE_COLUMNS`.

    A list of a thousand makes a thousand of these, so nothing in it is turned into an object that would
    only be written as text again.

    Args:
        status: By its text.
        is_protected: 0 or 1.
        is_hidden: 0 or 1.
        created_at: As the index keeps moments: in UTC, and its first 19 characters end with the second.
        text_bytes: How many bytes of text the record holds.
        tags: A JSON array of texts.
        properties: A JSON object of texts, without white space around it.
        import_id: The import that writes the image now.
        staged_bytes: The size of the bytes that wait for glance-direct.
    """

    id: str
    project_id: str
    name: str | None
    status: str
    visibility: str
    is_protected: int
    is_hidden: int
    disk_format: str | None
    container_format: str | None
    size: int | None
    virtual_size: int | None
    min_disk: int
    min_ram: int
    created_at: str
    updated_at: str
    text_bytes: int
    md5: str | None
    sha512: str | None
    tags: str
    properties: str
    import_id: str | None = None
    staged_bytes: int | None = None


# The columns of an image's row, and of its blob's, that a line begins with.
LINE_COLUMNS = (
    *(f"images.{name}" for name in ImageLine.__struct_fields__[:16]),
    *(f"blobs.{name}" for name in ImageLine.__struct_fields__[16:18]),
)


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
