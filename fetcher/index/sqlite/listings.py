"""Lists for people: found by a word, in any order, a page at a time, with how many there are in all."""

from sqlite_utils.db import Database

from fetcher.index.sqlite import scope
from fetcher.index.sqlite.images import SELECT, load_images
from fetcher.index.sqlite.rows import ANSWER_BYTES, fitting, import_bytes, select, to_import
from fetcher.model import Actor, Image, Import, Value

IMAGE_FILTERS = ("status", "disk_format", "visibility")
IMAGE_ORDERS = {
    "name": "lower(ifnull(images.name, images.id))",
    "status": "images.status",
    "format": "ifnull(images.disk_format, '')",
    "size": "ifnull(images.size, -1)",
    "disk": "ifnull(images.virtual_size, -1)",
    "visibility": "images.visibility",
    "created": "images.created_at",
}
IMPORT_ORDERS = {
    "name": "lower(url)",
    "state": "state",
    "received": "received_bytes",
    "submitted": "created_at",
}


class ListQuery(Value, frozen=True, kw_only=True):
    """What part of a list somebody wants to see.

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


def list_images(db: Database, actor: Actor, query: ListQuery) -> ListPage:
    """Return a page of the images to offer: no hidden ones, no community images of others."""
    where, arguments = scope.readable_images(actor)
    arguments = {**arguments, "own": actor.project_id}
    where += " AND images.is_hidden = 0"
    if query.filters.get("visibility") != "community":
        where += " AND (images.visibility <> 'community' OR images.project_id = :own)"
    if query.text:
        arguments |= _patterns(query.text)
        where += r""" AND (images.name LIKE :like ESCAPE '\' OR images.id LIKE :begins ESCAPE '\'
                      OR images.sha256 LIKE :begins ESCAPE '\' OR images.id IN
                      (SELECT image_id FROM image_tags WHERE tag LIKE :like ESCAPE '\'))"""
    for name in IMAGE_FILTERS:
        if query.filters.get(name):
            where += f" AND images.{name} = :{name}"
            arguments[name] = query.filters[name]
    total = _count(db, f"SELECT count(*) AS n FROM images WHERE {where}", arguments)  # noqa: S608 - ours
    order = _order(IMAGE_ORDERS[query.order], "images.", query)
    rows = select(db, f"{SELECT} WHERE {where} {order}", {**arguments, **_window(query)})
    return ListPage(images=load_images(db, list(rows)), total=total)


def list_imports(db: Database, actor: Actor, query: ListQuery) -> ImportPage:
    """Return a page of the imports of somebody's project."""
    where, arguments = scope.own_imports(actor)
    arguments = dict(arguments)
    if query.text:
        arguments |= _patterns(query.text)
        where += r""" AND (url LIKE :like ESCAPE '\' OR id LIKE :begins ESCAPE '\'
                      OR json_extract(submission, '$.name') LIKE :like ESCAPE '\'
                      OR code LIKE :begins ESCAPE '\')"""
    by_state = select(
        db,
        f"SELECT state, count(*) AS n FROM imports WHERE {where} GROUP BY state",  # noqa: S608 - ours
        arguments,
    )
    states = {row["state"]: row["n"] for row in by_state}
    total = sum(states.values())
    if state := query.filters.get("state"):
        where += " AND state = :state"
        arguments["state"] = state
        total = states.get(state, 0)
    order = _order(IMPORT_ORDERS[query.order], "", query)
    sql = f"SELECT * FROM imports WHERE {where} {order}"  # noqa: S608 - ours
    rows = select(db, sql, {**arguments, **_window(query)})
    some = fitting(rows, import_bytes, ANSWER_BYTES)
    imports = [to_import(row) for row in some]
    return ImportPage(imports=imports, total=total, states=states, is_cut=some.has_more)


def _patterns(text: str) -> dict[str, object]:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {"like": f"%{escaped}%", "begins": f"{escaped.lower()}%"}


def _order(expression: str, table: str, query: ListQuery) -> str:
    way = "DESC" if query.is_descending else "ASC"
    return (
        f"ORDER BY {expression} {way}, {table}created_at {way}, {table}id {way} LIMIT :limit OFFSET :offset"
    )


def _window(query: ListQuery) -> dict[str, object]:
    return {"limit": query.limit, "offset": query.offset}


def _count(db: Database, sql: str, arguments: dict[str, object]) -> int:
    return int(next(iter(select(db, sql, arguments)))["n"])
