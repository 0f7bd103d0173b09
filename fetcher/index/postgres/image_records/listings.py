"""Lists for people: found by a word, in any order, a page at a time, with how many there are in all."""

from fetcher.index.lists import listed_images, listed_imports, order_of, window
from fetcher.index.postgres.image_records.images import SELECT, load_images
from fetcher.index.postgres.session import Session
from fetcher.index.rows import fitting, import_bytes, to_import
from fetcher.index.values import ANSWER_BYTES, ImportPage, ListPage, ListQuery
from fetcher.model import Actor

IMAGE_EXPRESSIONS = {
    "name": "lower(coalesce(images.name, images.id))",
    "status": "images.status",
    "format": "coalesce(images.disk_format, '')",
    "size": "coalesce(images.size, -1)",
    "disk": "coalesce(images.virtual_size, -1)",
    "visibility": "images.visibility",
    "created": "images.created_at",
}
IMPORT_EXPRESSIONS = {
    "name": "lower(url)",
    "state": "state",
    "received": "received_bytes",
    "submitted": "created_at",
}


async def list_images(db: Session, actor: Actor, query: ListQuery) -> ListPage:
    """Return a page of the images to offer: no hidden ones, no community images of others."""
    where, arguments = listed_images(actor, query, "ILIKE")
    total = await _count(db, f"SELECT count(*) AS n FROM images WHERE {where}", arguments)  # noqa: S608 - ours
    order = order_of(IMAGE_EXPRESSIONS[query.order], "images.", query)
    rows = await db.select(f"{SELECT} WHERE {where} {order}", {**arguments, **window(query)})
    return ListPage(images=await load_images(db, list(rows)), total=total)


async def list_imports(db: Session, actor: Actor, query: ListQuery) -> ImportPage:
    """Return a page of the imports of the caller's project."""
    where, arguments = listed_imports(actor, query, "ILIKE", "submission::jsonb ->> 'name'")
    by_state = await db.select(
        f"SELECT state, count(*) AS n FROM imports WHERE {where} GROUP BY state",  # noqa: S608 - ours
        arguments,
    )
    states = {row["state"]: row["n"] for row in by_state}
    total = sum(states.values())
    if state := query.filters.get("state"):
        where += " AND state = :state"
        arguments["state"] = state
        total = states.get(state, 0)
    order = order_of(IMPORT_EXPRESSIONS[query.order], "", query)
    sql = f"SELECT * FROM imports WHERE {where} {order}"  # noqa: S608 - ours
    rows = await db.select(sql, {**arguments, **window(query)})
    some = fitting(rows, import_bytes, ANSWER_BYTES)
    imports = [to_import(row) for row in some]
    return ImportPage(imports=imports, total=total, states=states, is_cut=some.has_more)


async def _count(db: Session, sql: str, arguments: dict[str, object]) -> int:
    return int(next(iter(await db.select(sql, arguments)))["n"])
