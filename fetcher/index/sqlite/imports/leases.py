"""Leases: a run holds its import until a moment by the index's own clock, and renews that while it lives.

No lease makes a write count: that is the claim's part. A lease only keeps
others from taking up an import that still runs.
"""

from collections.abc import Mapping

from sqlite_utils.db import Database

from fetcher.index.rows import to_json
from fetcher.index.sqlite.rows import select
from fetcher.index.values import Worker

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
UNTIL = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', :lease)"
# A worker's own are free to it: it asks before it runs anything, so that an earlier process of it ran them.
FREE = f"(state = 'queued' OR ifnull(worker, '') IN ('', :worker) OR ifnull(lease_until, '') <= {NOW})"


def holding(worker: Worker) -> dict[str, object]:
    """Return the parameters of a statement that holds an import or looks for free ones."""
    return {"worker": worker.name, "lease": f"+{worker.lease_seconds:.3f} seconds"}


def hold(db: Database, worker: Worker, import_id: str) -> None:
    """Hold an import that was written as running."""
    sql = f"UPDATE imports SET worker = :worker, lease_until = {UNTIL} WHERE id = :id"  # noqa: S608 - our expression
    db.execute(sql, {**holding(worker), "id": import_id})


def renew(db: Database, worker: Worker, claims: Mapping[str, int]) -> list[str]:
    """Hold imports for another lease; return those that were lost, or have ended."""
    held = """FROM json_each(:claims) AS mine JOIN imports ON imports.id = mine.key AND claim = mine.value
              WHERE ended_at IS NULL"""
    arguments = {**holding(worker), "claims": to_json(claims)}
    kept = {row["id"] for row in select(db, f"SELECT imports.id AS id {held}", arguments)}
    sql = f"""UPDATE imports SET worker = :worker, lease_until = {UNTIL}
              WHERE id IN (SELECT imports.id {held})"""  # noqa: S608 - our expressions
    db.execute(sql, arguments)
    return [import_id for import_id in claims if import_id not in kept]
