"""Lists for people, found by a word and in any order, as every index asks for them."""

from fetcher.index import scope
from fetcher.index.values import ListQuery
from fetcher.model import Actor

IMAGE_FILTERS = ("status", "disk_format", "visibility")


def listed_images(actor: Actor, query: ListQuery, like: str) -> scope.Condition:
    """Return what a list of images to offer asks of each: no hidden ones, no community images of others.

    Args:
        like: The operator that compares with a pattern, whatever the case.
    """
    where, arguments = scope.readable_images(actor)
    arguments = {**arguments, "own": actor.project_id}
    where += " AND images.is_hidden = 0"
    if query.filters.get("visibility") != "community":
        where += " AND (images.visibility <> 'community' OR images.project_id = :own)"
    if query.text:
        arguments |= _patterns(query.text)
        where += rf""" AND (images.name {like} :like ESCAPE '\' OR images.id {like} :begins ESCAPE '\'
                      OR images.sha256 {like} :begins ESCAPE '\' OR images.id IN
                      (SELECT image_id FROM image_tags WHERE tag {like} :like ESCAPE '\'))"""  # noqa: S608 - our own operator
    for name in IMAGE_FILTERS:
        if query.filters.get(name):
            where += f" AND images.{name} = :{name}"
            arguments[name] = query.filters[name]
    return where, arguments


def listed_imports(actor: Actor, query: ListQuery, like: str, name: str) -> scope.Condition:
    """Return what a list of imports asks of each, whatever its state.

    Args:
        like: The operator that compares with a pattern, whatever the case.
        name: The expression for the name that was submitted.
    """
    where, arguments = scope.own_imports(actor)
    arguments = dict(arguments)
    if query.text:
        arguments |= _patterns(query.text)
        where += rf""" AND (url {like} :like ESCAPE '\' OR id {like} :begins ESCAPE '\'
                      OR {name} {like} :like ESCAPE '\' OR code {like} :begins ESCAPE '\')"""
    return where, arguments


def order_of(expression: str, table: str, query: ListQuery) -> str:
    """Return how a page is ordered and where it begins; see `window`."""
    way = "DESC" if query.is_descending else "ASC"
    return (
        f"ORDER BY {expression} {way}, {table}created_at {way}, {table}id {way} LIMIT :limit OFFSET :offset"
    )


def window(query: ListQuery) -> dict[str, object]:
    """Return the parameters of a page."""
    return {"limit": query.limit, "offset": query.offset}


def _patterns(text: str) -> dict[str, object]:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {"like": f"%{escaped}%", "begins": f"{escaped.lower()}%"}
