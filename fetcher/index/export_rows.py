"""Exports to rows and back, the same in every index."""

from datetime import datetime
from typing import Any

import msgspec

from fetcher.errors import QueueFull, SendLimit
from fetcher.index.rows import Row, to_json, to_moment, to_text
from fetcher.index.values import (
    Export,
    ExportAttempt,
    ExportBounds,
    ExportOptions,
    ReadBack,
    ReceiverAccess,
    ReceiverSecrets,
)
from fetcher.lifecycle import State
from fetcher.model import Verdict

MOMENTS = ("created_at", "started_at", "updated_at", "ended_at")
# What changes while an export runs.
PROGRESS = (
    *("state", "size", "sha256", "sent_bytes", "attempts", "answer", "read_back", "verdict"),
    *("started_at", "updated_at", "ended_at"),
)
RECENT = """SELECT count(*) AS made, coalesce(sum(size), 0) AS bytes, min(created_at) AS oldest
    FROM exports WHERE project_id = ? AND created_at > ?"""
PASSED = """SELECT count(*) AS made, coalesce(sum(size), 0) AS bytes
    FROM exports WHERE project_id = ? AND created_at > ? AND created_at <= ?"""
OLDEST = "SELECT min(created_at) FROM exports WHERE project_id = ? AND created_at > ?"
# Reads nothing but the index `exports_by_project`.
OVERFULL = """SELECT project_id, count(*) AS n FROM exports
    GROUP BY project_id HAVING count(*) > :most ORDER BY project_id"""
# Those of the last day count for the bounds on a day. Of the others the newest are kept, and before them
# those that a repeated request may still ask for.
SURPLUS = """DELETE FROM exports WHERE id IN
    (SELECT id FROM exports WHERE project_id = :project_id AND ended_at IS NOT NULL
     AND created_at < :before ORDER BY repeat_key IS NOT NULL, created_at, id LIMIT :limit)"""


def check_recent(row: Row, export: Export, bounds: ExportBounds) -> None:
    """Hold a new export to what its project may make and send in a day; `row` has what `RECENT` returns.

    Raises:
        QueueFull: The project has made too many, whatever became of them.
        SendLimit: It has sent, or is about to send, too much.
    """
    if row["made"] >= bounds.max_made:
        left = datetime.fromisoformat(row["oldest"]) - bounds.since
        raise QueueFull(
            scope="the project's exports of a day",
            limit=bounds.max_made,
            retry_after_seconds=max(1.0, left.total_seconds()),
        )
    used = int(row["bytes"])
    if used + export.size > bounds.max_bytes:
        raise SendLimit(limit_bytes=bounds.max_bytes, used_bytes=used)


def export_row(export: Export) -> dict[str, Any]:
    """Return all columns of an export that every index has."""
    plain = msgspec.structs.asdict(export)
    return {
        **plain,
        "state": export.state.value,
        "attempts": to_json(export.attempts),
        "answer": to_json(export.answer),
        "verdict": to_json(export.verdict),
        "options": to_json(export.options),
        "read_back": to_json(export.read_back),
        **{name: to_text(plain[name]) for name in MOMENTS},
    }


def export_of(row: Row) -> Export:
    """Return the export of a row; columns of one index alone are left out."""
    moments = {name: to_moment(row[name]) for name in MOMENTS}
    return Export(
        **{
            **{name: row[name] for name in Export.__struct_fields__},
            "state": State(row["state"]),
            "attempts": msgspec.json.decode(row["attempts"], type=tuple[ExportAttempt, ...]),
            "answer": msgspec.json.decode(row["answer"], type=dict[str, str]),
            "verdict": msgspec.json.decode(row["verdict"] or "null", type=Verdict | None),
            "options": msgspec.json.decode(row["options"], type=ExportOptions),
            "read_back": msgspec.json.decode(row["read_back"] or "null", type=ReadBack | None),
            **moments,
        }
    )


def secrets_row(export_id: str, secrets: ReceiverSecrets) -> dict[str, Any]:
    """Return all columns of what only the receiver may know."""
    documents = {name: to_json(getattr(secrets, name)) for name in ("headers", "access", "resume")}
    return {"export_id": export_id, "url": secrets.url, **documents}


def secrets_of(row: Row) -> ReceiverSecrets:
    """Return the secrets of a row."""
    return ReceiverSecrets(
        url=row["url"],
        headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
        access=msgspec.json.decode(row["access"], type=ReceiverAccess),
        resume=msgspec.json.decode(row["resume"], type=dict[str, Any]),
    )


def audit_row(action: str, export: Export) -> dict[str, Any]:
    """Return the line of the audit trail about what happened to an export."""
    return {
        "at": to_text(export.updated_at),
        "project_id": export.project_id,
        "user_id": export.user_id,
        "action": action,
        "image_id": export.image_id,
        "url": export.receiver,
        "code": export.verdict.code if export.verdict else None,
        "detail": to_json({"export_id": export.id, "size": export.size, "sha256": export.sha256}),
    }
