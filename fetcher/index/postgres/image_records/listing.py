"""A list of images as one statement of SQL: filtered, in any order, a page at a time.

The order comes out of an index and the page begins where the last one ended.
Which filters are looked up and which are met on the way is the planner's to say.
"""

import re
from typing import Any

from fetcher.errors import InvalidRequest
from fetcher.index import scope
from fetcher.index.postgres.session import Session
from fetcher.index.values import Filter, ImageQuery
from fetcher.model import Actor

# The sort keys of the Image API, and the expressions that indexes exist for.
EXPRESSIONS = {
    "created_at": "images.created_at",
    "id": "images.id",
    "name": "coalesce(images.name, '')",
    "status": "images.status",
    "disk_format": "coalesce(images.disk_format, '')",
    "container_format": "coalesce(images.container_format, '')",
    "size": "coalesce(images.size, -1)",
    "updated_at": "images.updated_at",
}
COLUMNS = {
    **EXPRESSIONS,
    "created_at_second": "substr(images.created_at, 1, 19)",
    "updated_at_second": "substr(images.updated_at, 1, 19)",
    "virtual_size": "images.virtual_size",
    "min_disk": "images.min_disk",
    "min_ram": "images.min_ram",
    "protected": "images.is_protected",
    "os_hidden": "images.is_hidden",
    "os_hash_algo": """(SELECT 'sha512' FROM blobs
        WHERE blobs.sha256 = images.sha256 AND blobs.sha512 IS NOT NULL)""",
}
DIGESTS = {"checksum": "md5", "os_hash_value": "sha512"}
NULLABLE = ("name", "disk_format", "container_format", "size")
OPERATORS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

Statement = tuple[str, dict[str, Any]]
Order = list[tuple[str, bool]]

# What `scope` says to SQLite's planner, and to no other: which index not to take, what to read first.
_HINT = re.compile(r"\+(?=images\.)|CROSS (?=JOIN)")


async def statement(db: Session, query: ImageQuery, actor: Actor) -> Statement:
    """Build the statement that selects a page: full rows, joined with their digests.

    Raises:
        InvalidRequest: The marker is no image that the actor may read.
    """
    listed = scope.listed_images(actor, query.visibility, query.member_status, query.owner)
    arguments: dict[str, Any] = {**listed.arguments, "limit": query.limit}
    tests = "".join(f" AND {_test(number, term, arguments)}" for number, term in enumerate(query.filters))
    order = _order(query.sort)
    if query.marker is not None:
        arguments |= await _marker(db, query.marker, actor, order)
    parts = []
    for arm in listed.arms:
        of_arm = [(arm.column(expression), down) for expression, down in order]
        source, condition = _HINT.sub("", arm.source), _HINT.sub("", arm.condition)
        parts += _parts(source, condition + tests, of_arm, query)
    rows = " UNION ALL ".join(f"(SELECT number FROM ({part}) AS part)" for part in parts)  # noqa: S608 - our own expressions
    sql = f"""SELECT images.*, blobs.md5 AS md5, blobs.sha512 AS sha512, blobs.digests AS digests
              FROM ({rows}) AS page JOIN images USING (number) LEFT JOIN blobs USING (sha256)
              ORDER BY {_order_by(order)} LIMIT :limit"""  # noqa: S608 - our own expressions
    return sql, arguments


def _order(sort: tuple[tuple[str, bool], ...]) -> Order:
    """Return the expressions to sort by; the last one is different for every image."""
    order = [(EXPRESSIONS[key], is_descending) for key, is_descending in sort]
    keys = {key for key, _ in sort}
    if "id" not in keys:
        tie = "images.id" if "created_at" in keys else "images.number"
        order.append((tie, sort[-1][1]))
    return order


def _order_by(order: Order) -> str:
    return ", ".join(f"{expression} {'DESC' if down else 'ASC'}" for expression, down in order)


async def _marker(db: Session, marker: str, actor: Actor, order: Order) -> dict[str, object]:
    """Return what the marker's own row has where the list is sorted."""
    where, arguments = scope.readable_images(actor)
    columns = ", ".join(f"{expression} AS m{number}" for number, (expression, _) in enumerate(order))
    sql = f"SELECT {columns} FROM images WHERE images.id = :id AND {where}"  # noqa: S608 - our own expressions
    for row in await db.select(sql, {"id": marker, **arguments}):
        return row
    raise InvalidRequest(field="marker", reason=f"there is no image {marker} to begin after")


def _parts(source: str, condition: str, order: Order, query: ImageQuery) -> list[str]:
    """Return what follows the marker in one source, as ranges of the index that the order comes from.

    With the marker at (a, b), these are the rows with a and beyond b, in the
    order of b, and the rows beyond a.
    """
    if query.marker is None:
        return [_part(source, condition, order)]
    parts = []
    for number, (expression, down) in enumerate(order):
        equal = [f"{before} = :m{place}" for place, (before, _) in enumerate(order[:number])]
        case = " AND ".join([*equal, f"{expression} {'<' if down else '>'} :m{number}"])
        parts.append(_part(source, f"{condition} AND {case}", order[number:]))
    return parts


def _part(source: str, condition: str, order: Order) -> str:
    return f"""SELECT images.number FROM {source} WHERE {condition}
               ORDER BY {_order_by(order)} LIMIT :limit"""  # noqa: S608 - our own expressions


def _test(number: int, term: Filter, arguments: dict[str, Any]) -> str:
    """Return what a filter asks of a row of `images`."""
    mark = f":f{number}"
    if term.operator == "in":
        arguments[f"f{number}"] = list(term.values)
        right = f"= ANY({mark})"
    else:
        (arguments[f"f{number}"],) = term.values
        right = f"{OPERATORS[term.operator]} {mark}"
    if term.key == "tag":
        return f"EXISTS (SELECT 1 FROM image_tags WHERE image_id = images.id AND tag {right})"  # noqa: S608 - ours
    if term.key == "property":
        arguments[f"f{number}_name"] = term.name
        return f"""EXISTS (SELECT 1 FROM image_properties AS p
            WHERE p.image_id = images.id AND p.name = :f{number}_name AND p.value {right})"""  # noqa: S608 - ours
    if term.key in DIGESTS:
        return f"images.sha256 IN (SELECT sha256 FROM blobs WHERE {DIGESTS[term.key]} {right})"  # noqa: S608 - ours
    found = f"{COLUMNS[term.key]} {right}"
    return f"{found} AND images.{term.key} IS NOT NULL" if term.key in NULLABLE else found
