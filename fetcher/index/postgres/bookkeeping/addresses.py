"""The digests of blobs: which one is the address, and those that come later."""

from collections.abc import Collection, Mapping

import msgspec

from fetcher.index.postgres.image_records.images import lock_blob
from fetcher.index.postgres.session import Session
from fetcher.index.rows import to_json
from fetcher.index.values import BlobState

KNOWN = """SELECT sha256 FROM blobs WHERE sha256 IN (:sha256::text, :sha512::text)
           UNION SELECT sha256 FROM blobs WHERE sha512 = :sha512::text
           UNION SELECT sha256 FROM blobs WHERE digests::jsonb ->> 'sha256' = :sha256::text
               AND length(sha256) <> 64 ORDER BY sha256"""
ADD = """UPDATE blobs SET md5 = coalesce(md5, :md5::text), sha512 = coalesce(sha512, :sha512::text),
                digests = (:digests::jsonb || digests::jsonb)::text WHERE sha256 = :address"""


async def known_as(db: Session, digests: Mapping[str, str]) -> list[str]:
    """Return the addresses of the blobs that have one of these digests, each found by an index."""
    strong = {name: digests.get(name) for name in ("sha256", "sha512")}
    return [row["sha256"] for row in await db.select(KNOWN, strong)]


async def digests_of(db: Session, address: str) -> dict[str, str] | None:
    """Return the digests of a blob that are known; None without its row."""
    for row in await db.select("SELECT digests FROM blobs WHERE sha256 = ?", [address]):
        return msgspec.json.decode(row["digests"], type=dict[str, str])
    return None


async def add_digests(db: Session, address: str, digests: Mapping[str, str]) -> bool:
    """Note further digests of a blob; False without its row."""
    columns = {name: digests.get(name) for name in ("md5", "sha512")}
    await lock_blob(db, address)
    return await db.execute(ADD, {**columns, "digests": to_json(digests), "address": address}) == 1


async def lacking(db: Session, algorithms: Collection[str], after: str, limit: int) -> list[BlobState]:
    """Return whole blobs without one of these digests."""
    # Looked for in the text: a digest holds no quotes, and a million documents need not be read as JSON.
    keys = {f"key{number}": f'"{name}"' for number, name in enumerate(sorted(algorithms))}
    tests = " OR ".join(f"strpos(digests, :key{number}::text) = 0" for number in range(len(keys)))
    sql = f"""SELECT sha256 AS address, size, fault, note FROM blobs WHERE fault IS NULL AND sha256 > :after
              AND ({tests}) ORDER BY sha256 LIMIT :limit"""  # noqa: S608 - our own tests
    arguments = {**keys, "after": after, "limit": limit}
    return [msgspec.convert(row, BlobState) for row in await db.select(sql, arguments)]
