"""Metadata definitions to rows and back, and how lists of them are asked for: the same in every index."""

from collections.abc import Sequence
from typing import Any

import msgspec

from fetcher.errors import Conflict, NotFound, QuotaExceeded
from fetcher.index import scope
from fetcher.index.rows import Row, to_json, to_text
from fetcher.index.values import At, Item, Kind, Namespace, NamespaceQuery, Page
from fetcher.model import Actor

WORDS: dict[Kind, str] = {
    "association": "association with the resource type",
    "object": "object",
    "property": "property",
    "tag": "tag",
}


def listed_namespaces(actor: Actor, query: NamespaceQuery) -> scope.Condition:
    """Return what a list of namespaces asks of each."""
    where, arguments = scope.readable_namespaces(actor)
    if query.visibility is not None:
        where += " AND visibility = :visibility"
        arguments["visibility"] = query.visibility
    if query.resource_types is not None:
        names = {f"type{number}": name for number, name in enumerate(query.resource_types)}
        where += f""" AND id IN (SELECT namespace_id FROM metadef_items
            WHERE kind = 'association' AND name IN ({", ".join(f":{key}" for key in names)}))"""  # noqa: S608 - marks only
        arguments |= names
    return where, arguments


def ordered(
    table: str, where: str, order: Sequence[str], page: Page, marker: int | None
) -> tuple[str, dict[str, object]]:
    """Return the statement of a page, which begins after the row whose id is the marker."""
    direction = "DESC" if page.is_descending else "ASC"
    beyond = ""
    if marker is not None:
        keys = ", ".join(order)
        sign = "<" if page.is_descending else ">"
        beyond = f" AND ({keys}) {sign} (SELECT {keys} FROM {table} WHERE id = :marker)"  # noqa: S608 - our own expressions
    by = ", ".join(f"{key} {direction}" for key in order)
    limit = "" if page.limit is None else "LIMIT :limit"
    sql = f"SELECT * FROM {table} WHERE {where}{beyond} ORDER BY {by} {limit}"  # noqa: S608 - our own expressions
    return sql, {"marker": marker, "limit": page.limit}


def namespace_row(namespace: Namespace) -> dict[str, object]:
    """Return all columns of a namespace."""
    return {
        **msgspec.structs.asdict(namespace),
        "is_protected": int(namespace.is_protected),
        "created_at": to_text(namespace.created_at),
        "updated_at": to_text(namespace.updated_at),
    }


def to_namespace(row: Row) -> Namespace:
    """Read a namespace back."""
    fields = {name: row[name] for name in Namespace.__struct_fields__}
    return msgspec.convert({**fields, "is_protected": bool(row["is_protected"])}, Namespace)


def item_columns(item: Item) -> dict[str, Any]:
    """Return the columns of an item that an edit may change."""
    return {
        "name": item.name,
        "document": to_json(item.document),
        "created_at": to_text(item.created_at),
        "updated_at": to_text(item.updated_at),
    }


def to_item(row: Row) -> Item:
    """Read an item back."""
    fields = {name: row[name] for name in Item.__struct_fields__}
    return msgspec.convert({**fields, "document": msgspec.json.decode(row["document"])}, Item)


def same(before: tuple[Namespace, list[Item]], after: tuple[Namespace, list[Item]]) -> bool:
    """Return whether nothing but the moment of change differs."""
    namespaces = [
        msgspec.structs.replace(whole[0], updated_at=before[0].updated_at) for whole in (before, after)
    ]
    return namespaces[0] == namespaces[1] and before[1] == after[1]


def no_item(at: At) -> NotFound:
    """Return the failure for an item that does not exist."""
    return NotFound(what=f"{WORDS[at.kind]} {(at.name or '')[:80]} in the namespace {at.namespace[:80]}")


def taken(item: Item) -> Conflict:
    """Return the failure for an item whose name is taken."""
    return Conflict(reason=f"there is the {WORDS[item.kind]} {item.name} in the namespace already")


def check_count(what: str, used: int, most: int) -> None:
    """Bound how much there is of something.

    Raises:
        QuotaExceeded: There is more than may be.
    """
    if used > most:
        raise QuotaExceeded(what=what, quota=most, used=used)
