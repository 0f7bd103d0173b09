"""The failures that really ended imports, where submitters are told less: read from the audit trail."""

from typing import Any

import msgspec

from fetcher.index.postgres.session import Session

# Told to admins alone; everybody else is told source-unreachable.
HIDDEN_CODES = ("address-forbidden", "connect-failed", "name-unresolved")
TRUE_CODE = "true code"  # Filters that nobody can ask for by these names.
TRUE_ATTEMPT_CODE = "true attempt code"


async def read_truths(db: Session, import_ids: list[str]) -> dict[str, dict[str, str]]:
    """Read the true codes and messages of ended imports, by their ids."""
    marks = ", ".join("?" * len(import_ids))
    sql = f"""SELECT import_id, detail FROM audit WHERE import_id IN ({marks})
              AND action IN ('refused', 'failed') ORDER BY id"""  # noqa: S608 - question marks alone
    found: dict[str, dict[str, str]] = {}
    for row in await db.select(sql, import_ids):
        detail = msgspec.json.decode(row["detail"], type=dict[str, Any])
        if "code" in detail:
            found[row["import_id"]] = {"code": detail["code"], "message": detail.get("message", "")}
    return found
