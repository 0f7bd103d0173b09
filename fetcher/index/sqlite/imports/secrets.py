"""Secrets of imports: in one table, gone when the import ends."""

from collections.abc import Sequence

from sqlite_utils.db import Database

from fetcher.index.import_rows import secrets_row, to_secrets
from fetcher.index.rows import to_json
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import Secrets


def keep_secrets(db: Database, import_id: str, secrets: Secrets) -> None:
    """Write an import's secrets down."""
    insert(db, "import_secrets", secrets_row(import_id, secrets))


def load_secrets(db: Database, import_id: str) -> Secrets:
    """Read the secrets of an import that has not ended."""
    return to_secrets(next(iter(select(db, "SELECT * FROM import_secrets WHERE import_id = ?", [import_id]))))


def drop_secrets(db: Database, import_id: str) -> None:
    """Forget an import's secrets."""
    db.execute("DELETE FROM import_secrets WHERE import_id = ?", [import_id])


def drop_all_secrets(db: Database, import_ids: Sequence[str]) -> None:
    """Forget the secrets of many imports at once."""
    db.execute(
        "DELETE FROM import_secrets WHERE import_id IN (SELECT value FROM json_each(?))",
        [to_json(import_ids)],
    )
