"""Digests that a source states of its own bytes, in Repr-Digest and Content-Digest."""

from collections.abc import Sequence

import http_sf

# Only these count: RFC 9530 section 5 calls the others insecure.
ALGORITHMS = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64)}
MAX_FIELD_CHARACTERS = 4096


def parse_digests(values: Sequence[str]) -> dict[str, str]:
    """Read a digest field into hashlib's names and lower-case hex.

    A match proves only that the bytes arrived as they left, never that they
    are the right ones. What is malformed, contradictory or weak is as if it
    were absent: the source can leave the field out just as well.

    Args:
        values: All values of the field, in their order.

    Source: RFC 9530 sections 2 and 3, RFC 9651.
    """
    text = ", ".join(values)
    if len(text) > MAX_FIELD_CHARACTERS or not text.isascii():
        return {}
    twice: list[str] = []
    try:
        parsed = http_sf.parse(
            text.encode(), tltype="dictionary", on_duplicate_key=lambda key, _: twice.append(key)
        )
    except (http_sf.StructuredFieldError, ValueError):
        return {}
    if twice or not isinstance(parsed, dict):
        return {}
    found = {}
    for key, (name, size) in ALGORITHMS.items():
        member = parsed.get(key)
        value = member[0] if isinstance(member, tuple) else None
        if isinstance(value, bytes) and len(value) == size:
            found[name] = value.hex()
    return found
