"""A list of images as one statement of SQL: filtered, in any order, a page at a time.

The order comes out of an index and the page begins where the last one ended,
so that a page costs the same whatever lies before it. Where a filter leaves
few images, those are looked at instead and then sorted.
"""

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import InvalidRequest
from fetcher.index import scope
from fetcher.index.rows import to_json
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Filter, ImageQuery
from fetcher.model import Actor

FEW = 2000  # Up to so many rows are sooner sorted than found by walking along an index.

# The sort keys of the Image API, and the expressions that indexes exist for.
EXPRESSIONS = {
    "created_at": "images.created_at",
    "id": "images.id",
    "name": "ifnull(images.name, '')",
    "status": "images.status",
    "disk_format": "ifnull(images.disk_format, '')",
    "container_format": "ifnull(images.container_format, '')",
    "size": "ifnull(images.size, -1)",
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
INDEXED = ("id", "name", "status", "disk_format", "container_format", "size", "created_at", "updated_at")
NULLABLE = ("name", "disk_format", "container_format", "size")
OPERATORS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


Statement = tuple[str, dict[str, object]]
Order = list[tuple[str, bool]]


class _Term(msgspec.Struct, frozen=True):
    """A filter as SQL.

    Args:
        test: What it asks of a row of `images`; written so that no index is chosen for it.
        found: Where an index finds the rows that meet it, as FROM and WHERE; empty without one.
        images: Joins `images` to these rows, unless they are its own.
    """

    test: str
    found: str = ""
    images: str = ""


ROWS = "images.*, blobs.md5 AS md5, blobs.sha512 AS sha512, blobs.digests AS digests"


def statement(db: Database, query: ImageQuery, actor: Actor, columns: str = ROWS) -> Statement:
    """Build the statement that selects a page: full rows, joined with their digests.

    Args:
        columns: What to select of each image and its blob.

    Raises:
        InvalidRequest: The marker is no image that the actor may read.
    """
    listed = scope.listed_images(actor, query.visibility, query.member_status, query.owner)
    arguments: dict[str, object] = {**listed.arguments, "limit": query.limit}
    terms = [_term(number, term, arguments) for number, term in enumerate(query.filters)]
    tests = "".join(f" AND {term.test}" for term in terms)
    order = _order(query.sort)
    if query.marker is not None:
        arguments |= _marker(db, query.marker, actor, order)
    rare = _rare(db, terms, arguments)
    if rare is not None:
        anywhere = " OR ".join(f"({arm.test})" for arm in listed.arms)
        few = f"SELECT DISTINCT images.rowid AS row FROM {rare.images or 'images'} WHERE {rare.found}"  # noqa: S608 - ours
        source = f"({few}) AS few CROSS JOIN images ON images.rowid = few.row"
        parts = _parts(source, f"({anywhere}){tests}", order, query)
    else:
        parts = []
        for arm in listed.arms:
            of_arm = [(arm.column(expression), down) for expression, down in order]
            parts += _parts(arm.source, arm.condition + tests, of_arm, query)
    sql = f"""SELECT {columns}
              FROM ({_in_order(parts, order)}) AS page CROSS JOIN images ON images.rowid = page.row
              LEFT JOIN blobs USING (sha256)"""  # noqa: S608 - our own expressions
    return sql, arguments


def _in_order(parts: list[str], order: Order) -> str:
    """Return the rows of a page, the first one first.

    Only their numbers are put in order, not the rows: these were two thirds of what sorting moved about. A
    join reads the left side of a CROSS JOIN from its first row to its last (SQLite, "The query optimizer",
    section 7.3), so that the order is kept by what joins the page.
    """
    if len(parts) == 1:
        return f"SELECT row FROM ({parts[0]})"  # noqa: S608 - our own expressions
    rows = " UNION ALL ".join(f"SELECT row FROM ({part})" for part in parts)  # noqa: S608 - our own expressions
    return f"""SELECT page.row FROM ({rows}) AS page CROSS JOIN images ON images.rowid = page.row
               ORDER BY {_order_by(order)} LIMIT :limit"""  # noqa: S608 - our own expressions


def _order(sort: tuple[tuple[str, bool], ...]) -> Order:
    """Return the expressions to sort by; the last one is different for every image."""
    order = [(EXPRESSIONS[key], is_descending) for key, is_descending in sort]
    keys = {key for key, _ in sort}
    if "id" not in keys:
        tie = "images.id" if "created_at" in keys else "images.rowid"
        order.append((tie, sort[-1][1]))
    return order


def _order_by(order: Order) -> str:
    return ", ".join(f"{expression} {'DESC' if down else 'ASC'}" for expression, down in order)


def _marker(db: Database, marker: str, actor: Actor, order: Order) -> dict[str, object]:
    """Return what the marker's own row has where the list is sorted."""
    where, arguments = scope.readable_images(actor)
    columns = ", ".join(f"{expression} AS m{number}" for number, (expression, _) in enumerate(order))
    sql = f"SELECT {columns} FROM images WHERE images.id = :id AND {where}"  # noqa: S608 - our own expressions
    for row in select(db, sql, {"id": marker, **arguments}):
        return row
    raise InvalidRequest(field="marker", reason=f"there is no image {marker} to begin after")


def _rare(db: Database, terms: list[_Term], arguments: dict[str, object]) -> _Term | None:
    """Return the first filter that few images meet; None when each has many."""
    for term in terms:
        if term.found:
            rows = term.images.partition(" CROSS JOIN ")[0] or "images"
            sql = f"SELECT count(*) AS n FROM (SELECT 1 FROM {rows} WHERE {term.found} LIMIT {FEW + 1})"  # noqa: S608 - ours
            if next(iter(select(db, sql, arguments)))["n"] <= FEW:
                return term
    return None


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
    return f"""SELECT images.rowid AS row FROM {source} WHERE {condition}
               ORDER BY {_order_by(order)} LIMIT :limit"""  # noqa: S608 - our own expressions


def _term(number: int, term: Filter, arguments: dict[str, object]) -> _Term:
    # One parameter for many values: SQLite looks for the names of parameters one by one.
    marks = f":f{number}"
    if term.operator == "in":
        arguments[f"f{number}"] = to_json(term.values)
        marks = f"SELECT value FROM json_each({marks})"  # noqa: S608 - our own name
    else:
        (arguments[f"f{number}"],) = term.values
    if term.key == "tag":
        return _in_table("image_tags", f"tag IN ({marks})")
    if term.key == "property":
        arguments[f"f{number}_name"] = term.name
        return _in_table(
            "image_properties", f"image_properties.name = :f{number}_name AND value IN ({marks})"
        )
    if term.key in DIGESTS:
        found = f"images.sha256 IN (SELECT sha256 FROM blobs WHERE {DIGESTS[term.key]} IN ({marks}))"  # noqa: S608 - ours
        return _Term(f"+{found}", found)
    return _on_column(term, marks)


def _on_column(term: Filter, marks: str) -> _Term:
    column = COLUMNS[term.key]
    if term.key == "os_hidden" and term.values == (1,):
        return _Term("+images.is_hidden = 1", "images.is_hidden = 1")
    operator = "IN" if term.operator == "in" else OPERATORS[term.operator]
    condition = f"{column} {operator} ({marks})"
    if term.key in NULLABLE:
        condition += f" AND images.{term.key} IS NOT NULL"
    is_indexed = term.key in INDEXED and term.operator != "neq"
    return _Term(f"+{condition}", condition if is_indexed else "")


def _in_table(table: str, found: str) -> _Term:
    test = f"EXISTS (SELECT 1 FROM {table} WHERE {table}.image_id = images.id AND {found})"  # noqa: S608 - ours
    return _Term(test, found, f"{table} CROSS JOIN images ON images.id = {table}.image_id")
