"""Receivers of webhooks: noted with the submission, due with the import's end."""

from fetcher.index.postgres.session import Session
from fetcher.index.values import WebhookTarget
from fetcher.model import Import


async def keep_notice(db: Session, record: Import, webhook: WebhookTarget) -> None:
    """Note whom to tell once the import has ended."""
    row = {"import_id": record.id, "project_id": record.project_id, "url": webhook.url}
    await db.insert("notices", {**row, "secret": webhook.secret, "due_at": None})
