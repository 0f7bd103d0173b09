"""Rows of metadata definitions: finding them, paging through them, counting them."""

from fetcher.errors import Forbidden, NotFound
from fetcher.index import scope
from fetcher.index.portable.session import Session
from fetcher.index.rows import Row
from fetcher.model import Actor


async def find(db: Session, name: str, actor: Actor) -> Row:
    """Return a namespace's row.

    Raises:
        NotFound: There is none, or the actor does not see it.
    """
    where, arguments = scope.readable_namespaces(actor)
    sql = f"SELECT * FROM metadef_namespaces WHERE namespace = :name AND {where}"  # noqa: S608 - our own condition
    for row in await db.select(sql, {**arguments, "name": name}):
        return row
    raise NotFound(what=f"metadata definition namespace {name[:80]}")


async def owned(db: Session, name: str, actor: Actor) -> Row:
    """Return the row of a namespace that the actor may change: admins change all of them.

    Raises:
        NotFound: There is none, or the actor does not see it.
        Forbidden: The actor is no admin.
    """
    await db.lock_name("metadefs")
    row = await find(db, name, actor)
    if not actor.is_admin:
        raise Forbidden(reason="only an admin may change metadata definitions")
    return row


async def drop_unused_types(db: Session) -> None:
    """Forget resource types that came with an association, and that none is left for."""
    await db.execute("""DELETE FROM metadef_resource_types WHERE is_known = 0 AND NOT EXISTS
        (SELECT 1 FROM metadef_items WHERE kind = 'association'
            AND metadef_items.name = metadef_resource_types.name)""")
