"""Bounds on what is kept of ended work: records of imports, by project.

Age alone is no bound: within a month a member who may submit ten times a second leaves millions of records.
"""

from collections.abc import Sequence

from fetcher.index.postgres.session import Session

# Both read nothing but the index `imports_kept`, for projects within their bounds.
OVERFULL = """SELECT project_id FROM imports WHERE ended_at IS NOT NULL
    GROUP BY project_id HAVING count(*) > :most OR sum(kept_bytes) > :most_bytes"""
# The newest are kept, and before them those that a repeated request may still ask for.
SURPLUS = """WITH kept AS (
        SELECT id AS number, ended_at, kept_bytes,
            EXISTS (SELECT 1 FROM idempotency_keys WHERE import_id = imports.id) AS is_keyed
        FROM imports WHERE project_id = :project_id AND ended_at IS NOT NULL),
    ranked AS (
        SELECT number, row_number() OVER newest AS place, sum(kept_bytes) OVER newest AS bytes FROM kept
        WINDOW newest AS (ORDER BY is_keyed DESC, ended_at DESC, number DESC ROWS UNBOUNDED PRECEDING))
    SELECT id FROM imports WHERE id IN
        (SELECT number FROM ranked WHERE place > :most OR bytes > :most_bytes)
    AND NOT EXISTS (SELECT 1 FROM notices WHERE import_id = imports.id) LIMIT :limit"""
MAX_AT_ONCE = 100_000


async def surplus(db: Session, most: int, most_bytes: int) -> list[str]:
    """Name the ended imports beyond what each project may keep; none whose notification is undelivered.

    Args:
        most: Records of one project.
        most_bytes: The bytes of their text.
    """
    bounds = {"most": most, "most_bytes": most_bytes}
    found: list[str] = []
    for row in list(await db.select(OVERFULL, bounds)):
        more = {"project_id": row["project_id"], "limit": MAX_AT_ONCE, **bounds}
        found += [found_row["id"] for found_row in await db.select(SURPLUS, more)]
    return found


async def drop(db: Session, import_ids: Sequence[str]) -> int:
    """Drop the records of ended imports; how many went."""
    gone = 0
    for import_id in import_ids:
        gone += await db.execute("DELETE FROM imports WHERE id = ? AND ended_at IS NOT NULL", [import_id])
    return gone
