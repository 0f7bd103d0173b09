"""Receivers of webhooks: noted with the submission, due with the import's end."""

from typing import Any

from fetcher.index.values import WebhookTarget
from fetcher.model import Import


def notice_row(record: Import, webhook: WebhookTarget) -> dict[str, Any]:
    """Return the row that notes whom to notify once the import has ended."""
    row = {"import_id": record.id, "project_id": record.project_id, "url": webhook.url}
    return {**row, "secret": webhook.secret, "due_at": None}
