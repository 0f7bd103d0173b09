"""Texts signed with the operator's OpenPGP key, in the form that readers of simplestreams check."""

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

    path = Path(file)
    try:
        key = _key(file, path.stat().st_mtime_ns)
        signed: bytes = pysequoia.sign(key.signer(), text, mode=pysequoia.SignatureMode.CLEAR)
    except Exception as error:
        raise StoreFailed(reason="publish.sign_key cannot sign") from error
    return signed


@cache
def _key(file: str, _changed: int) -> Any:
    import pysequoia

    return pysequoia.Tsk.from_file(file)
