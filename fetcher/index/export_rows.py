"""Exports to rows and back, the same in every index."""

from typing import Any

import msgspec

from fetcher.index.rows import Row, to_json, to_moment, to_text
from fetcher.index.values import (
    Export,
    ExportAttempt,
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
