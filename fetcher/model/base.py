"""The base of every value, and the values that all others hold."""

from collections.abc import Mapping

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every value here."""


# What file systems and disks write whole: pieces that end at one need not be cut again on their way.
BLOCK_BYTES = 4096


class Digest(Value, frozen=True, kw_only=True):
    """One digest.

    Args:
        algorithm: hashlib's name: sha256, sha512 ...
        value: Lower-case hex, of the algorithm's length.
    """

    algorithm: str
    value: str

    def __str__(self) -> str:
        """Print as `algorithm:hex`, the form that the API takes."""
        return f"{self.algorithm}:{self.value}"


# How long each digest is that may be an address, in hexadecimal.
_ADDRESSES = {64: "sha256", 128: "sha512"}


def algorithm_of(address: str) -> str:
    """Return the algorithm of an address, by its length; sha256 for what is no digest."""
    return _ADDRESSES.get(len(address), "sha256")


def address_in(digests: Mapping[str, str], wanted: str) -> str:
    """Return the address of bytes: the digest that is wanted, or another strong one where that is missing.

    Raises:
        KeyError: There is none.
    """
    known = [name for name in (wanted, *_ADDRESSES.values()) if name in digests]
    return digests[known[0] if known else wanted]


class Actor(Value, frozen=True, kw_only=True):
    """The caller.

    Args:
        project_id: What the call is scoped to.
        user_id: Who is recorded.
        roles: As in secure RBAC: reader, member, admin.
        is_service: Another service of the cloud makes the call for its user.
    """

    project_id: str
    user_id: str
    roles: frozenset[str] = frozenset({"member", "reader"})
    is_service: bool = False

    @property
    def is_admin(self) -> bool:
        """May see and do everything."""
        return "admin" in self.roles
