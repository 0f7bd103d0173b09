"""Lists for people: found by a word, in any order, a page at a time, with how many there are in all."""

from sqlite_utils.db import Database

from fetcher.index.sqlite import scope
from fetcher.index.sqlite.images import SELECT, load_images
from fetcher.index.sqlite.rows import fitting, import_bytes, select, to_import
from fetcher.index.values import ANSWER_BYTES, ImportPage, ListPage, ListQuery
from fetcher.model import Actor

IMAGE_FILTERS = ("status", "disk_format", "visibility")
IMAGE_EXPRESSIONS = {
    "name": "lower(ifnull(images.name, images.id))",
    "status": "images.status",
    "format": "ifnull(images.disk_format, '')",
    "size": "ifnull(images.size, -1)",
    "disk": "ifnull(images.virtual_size, -1)",
    "visibility": "images.visibility",
    "created": "images.created_at",
}
IMPORT_EXPRESSIONS = {
    "name": "lower(url)",
    "state": "state",
    "received": "received_bytes",
    "submitted": "created_at",
}


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
    order = _order(IMAGE_EXPRESSIONS[query.order], "images.", query)
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
    order = _order(IMPORT_EXPRESSIONS[query.order], "", query)
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
