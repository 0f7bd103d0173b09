"""Texts signed with the operator's OpenPGP key, in the form that readers of simplestreams check."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fetcher.errors import StoreFailed


def clear_signed(text: bytes, file: str) -> bytes:
    """Sign a text so that it can be read as it is.

    Args:
        file: With the secret key, without a password.

    Raises:
        StoreFailed: The key cannot be read, or cannot sign.

    Source: RFC 9580 section 7.
    """
    import pysequoia

    try:
        key = _key(file, version_of(file))
        signed: bytes = pysequoia.sign(key.signer(), text, mode=pysequoia.SignatureMode.CLEAR)
    except Exception as error:
        raise StoreFailed(reason="publish.sign_key cannot sign") from error
    return signed


def version_of(file: str) -> str:
    """Return what is another one once a key was replaced in its place; empty where it cannot be read."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    except OSError:
        return ""


@cache
def _key(file: str, _version: str) -> Any:
    import pysequoia

    return pysequoia.Tsk.from_file(file)
