"""Identities that sigstore vouches for, as an operator pins them."""

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from fetcher.settings.base import Mistake, Name, Section, unreadable

TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot"


class Identity(Section, frozen=True, kw_only=True):
    """A signer: both have to be exactly what the certificate says.

    Args:
        subject: A workflow's URL or a mail address.
        issuer: The service that the signer logged in at.
    """

    subject: Name
    issuer: Name


def unusable_identities(key: str, identities: Sequence[Identity], trusted_root: str) -> Iterator[Mistake]:
    """Find identities that nothing could verify: without a trusted root, or without the package for it."""
    if not identities and not trusted_root:
        return
    if not identities:
        yield Mistake(key=f"{key}.identities", value="[]", expected="at least one, with trusted_root")
    if not trusted_root:
        yield Mistake(key=f"{key}.trusted_root", value='""', expected="a file, with identities")
    elif missing := list(unreadable(f"{key}.trusted_root", [trusted_root])):
        yield from missing
    elif not _is_root(Path(trusted_root)):
        yield Mistake(
            key=f"{key}.trusted_root", value=trusted_root, expected="a trusted_root.json of sigstore"
        )
    if find_spec("sigstore") is None:
        expected = "none without the package sigstore; in the checkout: make setup EXTRAS=sigstore"
        yield Mistake(key=f"{key}.identities", value=f"{len(identities)}", expected=expected)


def _is_root(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and str(found.get("mediaType", "")).startswith(TRUSTED_ROOT)
