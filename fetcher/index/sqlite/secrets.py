"""What only a pull may know of its import: in one table, gone when the import ends."""

import msgspec
from sqlite_utils.db import Database

from fetcher.index.sqlite.rows import Row, insert, select, to_json
from fetcher.model import BucketAccess, ClientCertificate


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What opens a source beside headers.

    Args:
        s3: Keys of a bucket, and where it is.
        client: The client's certificate with its key.
    """

    s3: BucketAccess | None = None
    client: ClientCertificate | None = None


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What only the pull itself may know; dropped when the import ends.

    Args:
        url: The URL with its secrets.
        headers: The submitter's own request headers.
        mirrors: Further URLs of the same bytes.
        checksum_url: Of a file that lists the digest.
        checksum_signature_url: Of the signature on that file.
        access: What else opens the source.
    """

    url: str
    headers: dict[str, str] = {}
    mirrors: tuple[str, ...] = ()
    checksum_url: str | None = None
    checksum_signature_url: str | None = None
    access: Access = Access()


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
    )


def drop_secrets(db: Database, import_id: str) -> None:
    """Forget an import's secrets."""
    db.execute("DELETE FROM import_secrets WHERE import_id = ?", [import_id])
