"""Rows of metadata definitions: finding them, paging through them, counting them."""

from collections.abc import Sequence

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import Forbidden, NotFound, QuotaExceeded
from fetcher.index import scope
from fetcher.index.rows import Row
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Namespace, Page
from fetcher.model import Actor


def find(db: Database, name: str, actor: Actor) -> Row:
    """Return a namespace's row.

    Raises:
        NotFound: There is none, or the actor does not see it.
    """
    where, arguments = scope.readable_namespaces(actor)
    sql = f"SELECT * FROM metadef_namespaces WHERE namespace = :name AND {where}"  # noqa: S608 - our own condition
    for row in select(db, sql, {**arguments, "name": name}):
        return row
    raise NotFound(what=f"metadata definition namespace {name[:80]}")


def owned(db: Database, name: str, actor: Actor) -> Row:
    """Return the row of a namespace that the actor may change: admins change all of them.

    Raises:
        NotFound: There is none, or the actor does not see it.
        Forbidden: The actor is no admin.
    """
    row = find(db, name, actor)
    if not actor.is_admin:
        raise Forbidden(reason="only an admin may change metadata definitions")
    return row


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
    sql = f"SELECT * FROM {table} WHERE {where}{beyond} ORDER BY {by} LIMIT :limit"  # noqa: S608 - our own expressions
    return sql, {"marker": marker, "limit": -1 if page.limit is None else page.limit}


def to_namespace(row: Row) -> Namespace:
    """Read a namespace back."""
    fields = {name: row[name] for name in Namespace.__struct_fields__}
    return msgspec.convert({**fields, "is_protected": bool(row["is_protected"])}, Namespace)


def check_count(what: str, used: int, most: int) -> None:
    """Bound how much there is of something.

    Raises:
        QuotaExceeded: There is more than may be.
    """
    if used > most:
        raise QuotaExceeded(what=what, quota=most, used=used)


def drop_unused_types(db: Database) -> None:
    """Forget resource types that came with an association, and that none is left for."""
    db.execute("""DELETE FROM metadef_resource_types WHERE is_known = 0 AND NOT EXISTS
        (SELECT 1 FROM metadef_items WHERE kind = 'association'
            AND metadef_items.name = metadef_resource_types.name)""")
