"""Keys that all hosts have in common, one row each."""

from fetcher.index.postgres.session import Session


async def find(db: Session, name: str) -> bytes | None:
    """Return a key; None where there is none yet."""
    found = await db.select("SELECT value FROM shared_keys WHERE name = ?", [name])
    return bytes(found[0]["value"]) if found else None


async def put(db: Session, name: str, known: bytes | None, value: bytes) -> bytes:
    """Put a key in place of the one that is known; return the one that counts."""
    if known is None:
        sql = "INSERT INTO shared_keys (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
        await db.execute(sql, [name, value])
    else:
        await db.execute(
            "UPDATE shared_keys SET value = ? WHERE name = ? AND value = ?", [value, name, known]
        )
    found = await find(db, name)
    assert found is not None
    return found
