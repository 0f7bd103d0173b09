"""Secrets of imports: in one table, gone when the import ends."""

import msgspec
from sqlite_utils.db import Database

from fetcher.index.rows import Row, to_json
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import Access, Secrets


def keep_secrets(db: Database, import_id: str, secrets: Secrets) -> None:
    """Write an import's secrets down."""
    row = {
        "import_id": import_id,
        "url": secrets.url,
        "headers": to_json(secrets.headers),
        "mirrors": to_json(secrets.mirrors),
        "checksum_url": secrets.checksum_url,
        "checksum_signature_url": secrets.checksum_signature_url,
        "access": to_json(secrets.access),
        "target_token": secrets.target_token,
    }
    insert(db, "import_secrets", row)


def load_secrets(db: Database, import_id: str) -> Secrets:
    """Read the secrets of an import that has not ended."""
    return to_secrets(next(iter(select(db, "SELECT * FROM import_secrets WHERE import_id = ?", [import_id]))))


def to_secrets(row: Row) -> Secrets:
    """Read secrets back from their row."""
    return Secrets(
        url=row["url"],
        headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
        mirrors=msgspec.json.decode(row["mirrors"], type=tuple[str, ...]),
        checksum_url=row["checksum_url"],
        checksum_signature_url=row["checksum_signature_url"],
        access=msgspec.json.decode(row["access"], type=Access),
        target_token=row["target_token"],
    )


def drop_secrets(db: Database, import_id: str) -> None:
    """Forget an import's secrets."""
    db.execute("DELETE FROM import_secrets WHERE import_id = ?", [import_id])
