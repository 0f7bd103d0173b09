"""The base of every value, and the values that all others hold."""

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
