"""Requests that are made again with the same key: the columns of a table that knows them, in every index."""

from typing import Any

from fetcher.errors import IdempotencyMismatch
from fetcher.index.rows import Row
from fetcher.index.values import IdempotencyKey

KEYED = ("repeat_key", "repeat_sha256")
MADE_BEFORE = "SELECT * FROM exports WHERE project_id = ? AND repeat_key = ?"


def keyed(key: IdempotencyKey | None) -> dict[str, Any]:
    """Return what a row holds of the key that its request came with."""
    values = (None, None) if key is None else (key.key, key.fingerprint)
    return dict(zip(KEYED, values, strict=True))


def same_request(row: Row, key: IdempotencyKey | None) -> Row:
    """Return the row that a key made.

    Raises:
        IdempotencyMismatch: That was another request.
    """
    if key is not None and row["repeat_sha256"] != key.fingerprint:
        raise IdempotencyMismatch
    return row
