"""Who is to be told when an import has ended: noted with its submission, due with its end."""

import msgspec
from sqlite_utils.db import Database

from fetcher.index.sqlite.rows import insert
from fetcher.model import Import

# An import's end makes its notice due in the same transaction, whichever verb ends it.
SIXTH = (
    "ALTER TABLE imports ADD COLUMN notice TEXT",
    """CREATE TABLE notices (
        import_id TEXT PRIMARY KEY REFERENCES imports (id) ON DELETE CASCADE,
        project_id TEXT NOT NULL,
        url TEXT,
        secret TEXT,
        due_at TEXT
    ) WITHOUT ROWID""",
    "CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL",
    """CREATE TRIGGER notices_of_ended_imports AFTER UPDATE OF ended_at ON imports
        WHEN NEW.notice IS NOT NULL AND OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
        BEGIN UPDATE notices SET due_at = NEW.ended_at WHERE import_id = NEW.id; END""",
)


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told of an import's end.

    Args:
        url: With its secrets; None is the operator's own, as the settings then have it.
        secret: Signs what is told; None leaves it unsigned.
    """

    url: str | None = None
    secret: str | None = None


def keep_notice(db: Database, record: Import, webhook: WebhookTarget) -> None:
    """Note whom to tell once the import has ended."""
    row = {"import_id": record.id, "project_id": record.project_id, "url": webhook.url}
    insert(db, "notices", {**row, "secret": webhook.secret, "due_at": None})
