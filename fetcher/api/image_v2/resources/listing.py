"""The query of a list of images, from text to what the index takes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

from starlette.datastructures import QueryParams

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.index.values import SORT_KEYS, Filter, ImageQuery
from fetcher.model import MemberStatus, Visibility

VISIBILITIES = (*get_args(Visibility), "all")
MEMBER_STATUSES = (*get_args(MemberStatus), "all")
TEXTS = ("id", "name", "status", "disk_format", "container_format")
NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")
SWITCHES = ("protected", "os_hidden")
MOMENTS = ("created_at", "updated_at")
DIGESTS = ("checksum", "os_hash_value")
COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte")
NOT_FILTERS = ("limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "owner")
YES, NO = ("true", "1", "yes", "on", "t"), ("false", "0", "no", "off", "f")
MAX_FILTERS = 64
_LIST = re.compile(r'("[^"]*"|[^",]*)(,("[^"]*"|[^",]*))*')
AFTER_FRACTIONS = ".~"  # Sorts after every fraction of the second before it.


def read_query(params: QueryParams, settings: Settings) -> ImageQuery:
    """Read the query string of `GET /v2/images`.

    Raises:
        InvalidRequest: A filter, order or limit is not one; the parameter is named.
    """
    filters = [item for key, value in params.multi_items() for item in _filter(key, value)]
    most = settings.inbound.max_filter_values
    if sum(len(item.values) for item in filters) > most:
        raise InvalidRequest(reason=f"the filters of a list have at most {most} values together")
    if not any(item.key == "os_hidden" for item in filters):
        filters.append(Filter(key="os_hidden", values=(0,)))
    if len(filters) > MAX_FILTERS:
        raise InvalidRequest(reason=f"a list has at most {MAX_FILTERS} filters")
    return ImageQuery(
        filters=tuple(filters),
        sort=read_sort(params, tuple(SORT_KEYS)),
        limit=read_limit(params.get("limit"), settings),
        max_bytes=settings.server.max_answer_bytes,
        marker=params.get("marker"),
        visibility=_one_of("visibility", params.get("visibility"), VISIBILITIES),
        member_status=_one_of("member_status", params.get("member_status"), MEMBER_STATUSES) or "accepted",
        owner=params.get("owner"),
    )


def read_limit(text: str | None, settings: Settings) -> int:
    """Return how many to list; 0 is none.

    Raises:
        InvalidRequest: It is no number.
    """
    if text is None:
        return settings.server.page_items
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidRequest(field="limit", reason="limit is a whole number")
    return min(int(text), settings.server.max_page_items)


def read_sort(params: QueryParams, keys: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Return the order: `sort=name:asc,size` or `sort_key=name&sort_dir=asc`, repeated.

    Raises:
        InvalidRequest: A key or direction is none, or both forms are mixed.
    """
    old_keys, directions = params.getlist("sort_key"), params.getlist("sort_dir")
    if "sort" in params:
        if old_keys or directions:
            raise InvalidRequest(field="sort", reason="sort cannot be combined with sort_key and sort_dir")
        pairs = [part.strip().partition(":")[::2] for part in params["sort"].split(",")]
    else:
        old_keys = old_keys or ["created_at"]
        if len(directions) not in {0, 1, len(old_keys)}:
            raise InvalidRequest(field="sort_dir", reason="give one sort_dir, or as many as sort_key")
        wanted = directions * len(old_keys) if len(directions) == 1 else directions or [""] * len(old_keys)
        pairs = list(zip(old_keys, wanted, strict=True))
    order = {_sort_key(key, keys): _is_descending(direction) for key, direction in reversed(pairs)}
    return tuple(reversed(order.items()))


def _sort_key(key: str, keys: tuple[str, ...]) -> str:
    if key.strip() not in keys:
        raise InvalidRequest(field="sort_key", reason=f"a sort key is one of {', '.join(keys)}")
    return key.strip()


def _is_descending(direction: str) -> bool:
    found = _one_of("sort_dir", direction.strip() or "desc", ("asc", "desc"))
    return found == "desc"


def _one_of(field: str, value: str | None, values: tuple[str, ...]) -> str | None:
    if value is not None and value not in values:
        raise InvalidRequest(field=field, reason=f"{field} is one of {', '.join(values)}")
    return value


def _filter(key: str, value: str) -> Iterator[Filter]:
    """Yield the filters that one parameter stands for: none, one, or two ends of a range."""
    if key in NOT_FILTERS:
        return
    if key in TEXTS:
        yield _text(key, value)
    elif key in MOMENTS:
        yield from _moment(key, value)
    elif key in SWITCHES:
        yield Filter(key=key, values=(int(_switch(key, value)),))
    elif key in NUMBERS or (key.endswith(("_min", "_max")) and key[:-4] in NUMBERS):
        yield _number(key, value)
    elif key in {*DIGESTS, "os_hash_algo", "tag", "tags"}:
        yield Filter(key="tag" if key == "tags" else key, values=(value.strip(),))
    elif key == "changes-since":
        raise InvalidRequest(field=key, reason="there is no changes-since; use updated_at=gte:MOMENT")
    else:
        yield Filter(key="property", name=key, values=(value,))


def _text(key: str, value: str) -> Filter:
    operator, colon, rest = value.partition(":")
    if colon and operator == "in":
        if not _LIST.fullmatch(rest):
            raise InvalidRequest(field=key, reason="a quoted value ends with its quote, and a comma follows")
        found = re.findall(r'"([^"]*)"|([^,]+)', rest)
        return Filter(key=key, operator="in", values=tuple(quoted or plain for quoted, plain in found))
    if colon and operator in COMPARISONS[1:]:
        raise InvalidRequest(field=key, reason=f"{key} can be filtered by eq: and in: only")
    return Filter(key=key, values=(rest if colon and operator == "eq" else value,))


def _number(key: str, value: str) -> Filter:
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise InvalidRequest(field=key, reason=f"{key} is a whole number")
    if key.endswith("_min"):
        return Filter(key=key[:-4], operator="gte", values=(int(value),))
    if key.endswith("_max"):
        return Filter(key=key[:-4], operator="lte", values=(int(value),))
    return Filter(key=key, values=(int(value),))


def _switch(key: str, value: str) -> bool:
    if value.lower() not in {*YES, *NO}:
        raise InvalidRequest(field=key, reason=f"{key} is true or false")
    return value.lower() in YES


def _moment(key: str, value: str) -> Iterator[Filter]:
    """Compare to the second, as records show their moments."""
    operator, colon, rest = value.partition(":")
    if not colon or operator not in COMPARISONS:
        operator, rest = "eq", value
    try:
        given = datetime.fromisoformat(rest)
        given = given.replace(tzinfo=given.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(field=key, reason=f"{key} is compared with an ISO 8601 date and time") from error
    second = given.replace(tzinfo=None).isoformat(timespec="seconds")
    if operator == "neq":
        yield Filter(key=f"{key}_second", operator="neq", values=(second,))
    if operator in {"gte", "eq"}:
        yield Filter(key=key, operator="gte", values=(second,))
    if operator in {"lte", "eq"}:
        yield Filter(key=key, operator="lte", values=(second + AFTER_FRACTIONS,))
    if operator == "lt":
        yield Filter(key=key, operator="lt", values=(second,))
    if operator == "gt":
        yield Filter(key=key, operator="gt", values=(second + AFTER_FRACTIONS,))
