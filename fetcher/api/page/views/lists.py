"""The parameters of a list: search, filters, order and page; nonsense is refused."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from fetcher.api.prefix import outside
from fetcher.errors import InvalidRequest
from fetcher.index.values import ListQuery

MAX_TEXT = 255
MAX_PAGE_DIGITS = 7


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A list as the address of the page asks for it.

    Args:
        path: Of the page.
        number: Of the page in the list, from 1.
        default: The order where the address names none; its entries come in descending order.
    """

    path: str
    text: str
    filters: dict[str, str]
    order: str
    is_descending: bool
    number: int
    limit: int
    default: str

    @property
    def query(self) -> ListQuery:
        """Return the same for the index."""
        return ListQuery(
            text=self.text,
            filters=self.filters,
            order=self.order,
            is_descending=self.is_descending,
            offset=(self.number - 1) * self.limit,
            limit=self.limit,
        )

    @property
    def is_default(self) -> bool:
        """Return whether it is the beginning of the list in its own order, which may move by itself."""
        return self.number == 1 and not self.text and self.order == self.default and self.is_descending

    @property
    def is_narrowed(self) -> bool:
        """Return whether something is left out of the list."""
        return bool(self.text or self.filters)

    def link(self, **changes: str | int) -> str:
        """Return the address of the list with something changed; an empty value leaves a field out."""
        fields: dict[str, str | int] = {**({"q": self.text} if self.text else {}), **self.filters}
        if self.order != self.default or not self.is_descending:
            fields |= {"sort": self.order, "dir": "desc" if self.is_descending else "asc"}
        fields |= changes
        kept = {name: value for name, value in fields.items() if value not in {"", 1}}
        return f"{self.path}?{urlencode(kept)}" if kept else self.path

    def sorted_by(self, order: str) -> str:
        """Return the address of the list in another order; the same order turns round."""
        turns = order == self.order and not self.is_descending
        return self.link(sort=order, dir="desc" if turns else "asc")

    def pages(self, total: int) -> int:
        """Return how many pages there are."""
        return max(1, -(-total // self.limit))


def read_list(
    request: Request, *, orders: Sequence[str], default: str, filters: Mapping[str, Sequence[str]], limit: int
) -> Asked:
    """Read what a list is asked for.

    Raises:
        InvalidRequest: A parameter is unknown, stands twice, or asks for what there is not.
    """
    query = dict(request.query_params)
    if len(query) != len(request.query_params.multi_items()):
        raise InvalidRequest(reason="a parameter of the address is given twice")
    known = {"q", "sort", "dir", "page", *filters}
    for name in query.keys() - known:
        raise InvalidRequest(field=name[:40], reason="the address has an unknown parameter")
    chosen = {name: query[name] for name in filters if query.get(name)}
    for name, value in chosen.items():
        _check(name, value, filters[name])
    order = _check("sort", query.get("sort") or default, orders)
    way = _check("dir", query.get("dir") or ("asc" if "sort" in query else "desc"), ("asc", "desc"))
    return Asked(
        path=outside(request.url.path),
        text=query.get("q", "").strip()[:MAX_TEXT],
        filters=chosen,
        order=order,
        is_descending=way == "desc",
        number=_number(query.get("page") or "1"),
        limit=limit,
        default=default,
    )


def _check(name: str, value: str, taken: Sequence[str]) -> str:
    if value not in taken:
        raise InvalidRequest(field=name, reason=f"{name} must be one of {', '.join(taken)}")
    return value


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_PAGE_DIGITS and int(text)):
        raise InvalidRequest(field="page", reason="page must be a whole number from 1")
    return int(text)
