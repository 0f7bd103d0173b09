"""The digests of blobs: which one is the address, and those that come later."""

from collections.abc import Collection, Mapping

import msgspec
from sqlite_utils.db import Database

from fetcher.index.rows import to_json
from fetcher.index.sqlite.rows import select
from fetcher.index.values import BlobState

KNOWN = """SELECT sha256 FROM blobs WHERE sha256 IN (:sha256, :sha512)
           UNION SELECT sha256 FROM blobs WHERE sha512 = :sha512
           UNION SELECT sha256 FROM blobs WHERE json_extract(digests, '$.sha256') = :sha256
               AND length(sha256) <> 64"""
ADD = """UPDATE blobs SET md5 = coalesce(md5, :md5), sha512 = coalesce(sha512, :sha512),
                digests = json_patch(:digests, digests) WHERE sha256 = :address"""


def known_as(db: Database, digests: Mapping[str, str]) -> list[str]:
    """Return the addresses of the blobs that have one of these digests, each found by an index."""
    strong = {name: digests.get(name) for name in ("sha256", "sha512")}
    return [row["sha256"] for row in select(db, KNOWN, strong)]


def digests_of(db: Database, address: str) -> dict[str, str] | None:
    """Return the digests of a blob that are known; None without its row."""
    for row in select(db, "SELECT digests FROM blobs WHERE sha256 = ?", [address]):
        return msgspec.json.decode(row["digests"], type=dict[str, str])
    return None


def add_digests(db: Database, address: str, digests: Mapping[str, str]) -> bool:
    """Note further digests of a blob; False without its row."""
    columns = {name: digests.get(name) for name in ("md5", "sha512")}
    return db.execute(ADD, {**columns, "digests": to_json(digests), "address": address}).rowcount == 1


def lacking(db: Database, algorithms: Collection[str], after: str, limit: int) -> list[BlobState]:
    """Return whole blobs without one of these digests."""
    # Looked for in the text: a digest holds no quotes, and a million documents need not be read as JSON.
    keys = {f"key{number}": f'"{name}"' for number, name in enumerate(sorted(algorithms))}
    tests = " OR ".join(f"instr(digests, :key{number}) = 0" for number in range(len(keys)))
    sql = f"""SELECT sha256 AS address, size, fault, note FROM blobs WHERE fault IS NULL AND sha256 > :after
              AND ({tests}) ORDER BY sha256 LIMIT :limit"""  # noqa: S608 - our own tests
    arguments = {**keys, "after": after, "limit": limit}
    return [msgspec.convert(row, BlobState) for row in select(db, sql, arguments)]
