"""Rows of metadata definitions: finding them, paging through them, counting them."""

from sqlite_utils.db import Database

from fetcher.errors import Forbidden, NotFound
from fetcher.index import scope
from fetcher.index.rows import Row
from fetcher.index.sqlite.rows import select
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


def drop_unused_types(db: Database) -> None:
    """Forget resource types that came with an association, and that none is left for."""
    db.execute("""DELETE FROM metadef_resource_types WHERE is_known = 0 AND NOT EXISTS
        (SELECT 1 FROM metadef_items WHERE kind = 'association'
            AND metadef_items.name = metadef_resource_types.name)""")
