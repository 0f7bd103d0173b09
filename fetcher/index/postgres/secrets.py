"""Secrets of imports: in one table, gone when the import ends."""

import msgspec

from fetcher.index.postgres.session import Session
from fetcher.index.rows import Row, to_json
from fetcher.index.values import Access, Secrets


async def keep_secrets(db: Session, import_id: str, secrets: Secrets) -> None:
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
    await db.insert("import_secrets", row)


async def load_secrets(db: Session, import_id: str) -> Secrets:
    """Read the secrets of an import that has not ended."""
    return to_secrets(
        next(iter(await db.select("SELECT * FROM import_secrets WHERE import_id = ?", [import_id])))
    )


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


async def drop_secrets(db: Session, import_id: str) -> None:
    """Forget an import's secrets."""
    await db.execute("DELETE FROM import_secrets WHERE import_id = ?", [import_id])
