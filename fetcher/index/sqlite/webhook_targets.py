"""Who is to be told when an import has ended: noted with its submission, due with its end."""

import msgspec
from sqlite_utils.db import Database

from fetcher.index.sqlite.rows import insert
from fetcher.model import Import


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
