"""Receivers of webhooks: noted with the submission, due with the import's end."""

from sqlite_utils.db import Database

from fetcher.index.sqlite.rows import insert
from fetcher.index.values import WebhookTarget
from fetcher.model import Import


def keep_notice(db: Database, record: Import, webhook: WebhookTarget) -> None:
    """Note whom to notify once the import has ended."""
    row = {"import_id": record.id, "project_id": record.project_id, "url": webhook.url}
    insert(db, "notices", {**row, "secret": webhook.secret, "due_at": None})
