"""Leases: a run holds its import until a moment by the index's own clock, and renews that while it lives.

No lease makes a write count: that is the claim's part. A lease only keeps
others from taking up an import that still runs.
"""

from collections.abc import Mapping

from fetcher.index.postgres.session import Session
from fetcher.index.values import Worker

UNTIL = "clock_timestamp() + make_interval(secs => :lease)"
# A worker's own are free to it: it asks before it runs anything, so that an earlier process of it ran them.
FREE = """(state = 'queued' OR coalesce(worker, '') IN ('', :worker)
    OR coalesce(lease_until <= clock_timestamp(), true))"""


def holding(worker: Worker) -> dict[str, object]:
    """Return the parameters of a statement that holds an import or looks for free ones."""
    return {"worker": worker.name, "lease": worker.lease_seconds}


async def hold(db: Session, worker: Worker, import_id: str) -> None:
    """Hold an import that was written as running."""
    sql = f"UPDATE imports SET worker = :worker, lease_until = {UNTIL} WHERE id = :id"  # noqa: S608 - our expression
    await db.execute(sql, {**holding(worker), "id": import_id})


async def renew(db: Session, worker: Worker, claims: Mapping[str, int]) -> list[str]:
    """Hold imports for another lease; return those that were lost, or have ended."""
    sql = f"""UPDATE imports SET worker = :worker, lease_until = {UNTIL}
              FROM unnest(:ids::text[], :numbers::bigint[]) AS mine (id, claim)
              WHERE imports.id = mine.id AND imports.claim = mine.claim AND ended_at IS NULL
              RETURNING imports.id"""  # noqa: S608 - our expression
    arguments = {**holding(worker), "ids": list(claims), "numbers": list(claims.values())}
    kept = {row["id"] for row in await db.select(sql, arguments)}
    return [import_id for import_id in claims if import_id not in kept]
