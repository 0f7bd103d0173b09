"""The values of lists for people: found by a word, in any order, a page at a time."""

from fetcher.model import Image, Import, Value

IMAGE_ORDERS = ("name", "status", "format", "size", "disk", "visibility", "created")
IMPORT_ORDERS = ("name", "state", "received", "submitted")


class ListQuery(Value, frozen=True, kw_only=True):
    """One page of a list.

    Args:
        text: What a name, tag or URL holds, or an id or sha256 begins with.
        filters: Columns and the values that they must have.
        order: A key of the list's orders.
        offset: How many entries to pass over.
    """

    text: str = ""
    filters: dict[str, str] = {}  # noqa: RUF012 - a msgspec struct copies it for each value
    order: str
    is_descending: bool = False
    offset: int = 0
    limit: int


class ListPage(Value, frozen=True, kw_only=True):
    """One page of images, and how many match in all."""

    images: list[Image]
    total: int


class ImportPage(Value, frozen=True, kw_only=True):
    """One page of imports, how many match in all, and how many are in each state.

    Args:
        is_cut: The page holds fewer than it should, because their records are so large.
    """

    imports: list[Import]
    total: int
    states: dict[str, int]
    is_cut: bool
