"""Secrets of imports: in one table, gone when the import ends."""

from fetcher.index.import_rows import to_secrets
from fetcher.index.postgres.session import Session
from fetcher.index.values import Secrets


async def load_secrets(db: Session, import_id: str) -> Secrets:
    """Read the secrets of an import that has not ended."""
    return to_secrets(
        next(iter(await db.select("SELECT * FROM import_secrets WHERE import_id = ?", [import_id])))
    )


async def drop_secrets(db: Session, import_id: str) -> None:
    """Forget an import's secrets."""
    await db.execute("DELETE FROM import_secrets WHERE import_id = ?", [import_id])
