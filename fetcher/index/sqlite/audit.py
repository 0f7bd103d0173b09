"""The trail of what was done, by whom, to which import and image."""

from typing import Any

from sqlite_utils.db import Database

from fetcher.index.sqlite.rows import insert, to_json, to_text
from fetcher.model import Import

# The import has the whole of it; this line is kept for longer, and an attacker chooses how long a URL is.
MOST_URL_CHARACTERS = 512


def note(db: Database, action: str, record: Import, detail: dict[str, Any]) -> None:
    """Add a line to the audit trail."""
    insert(
        db,
        "audit",
        {
            "at": to_text(record.updated_at),
            "project_id": record.project_id,
            "user_id": record.user_id,
            "action": action,
            "import_id": record.id,
            "image_id": record.image_id,
            "url": record.submission.url[:MOST_URL_CHARACTERS],
            "code": record.verdict.code if record.verdict else None,
            "detail": to_json(detail),
        },
    )
