"""The caller: everybody on this machine, the holder of a static token, or whom Keystone names."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Protocol

from starlette.requests import Request

from fetcher.config import Current, Settings
from fetcher.errors import Forbidden, Unauthenticated
from fetcher.model import Actor

MAX_TOKEN_CHARACTERS = 8192
# As in secure RBAC: each role holds those after it.
IMPLIED = {"admin": ("admin", "member", "reader"), "member": ("member", "reader"), "reader": ("reader",)}


class Identifier(Protocol):
    """Finds out who makes a request."""

    async def __call__(self, request: Request) -> Actor:
        """Name the caller.

        Raises:
            Unauthenticated: They did not say, or what they said is not true.
            Forbidden: They have no role or no project here.
            IdentityUnavailable: Nobody can be asked at the moment.
        """

    async def service_token(self) -> str | None:
        """Return a token of this service's own account; None where it has none.

        Raises:
            IdentityUnavailable: It has one, and gets no token at the moment.
        """

    def close(self) -> None:
        """Let go of what was opened to find out."""


class Local:
    """Everybody who reaches the port, which only this machine does, is the one project's admin."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def __call__(self, request: Request) -> Actor:  # noqa: ARG002 - the shape of all identifiers
        """Name the one caller there is."""
        roles = frozenset(IMPLIED["admin"])
        return Actor(project_id=self._current.settings.auth.project, user_id="local", roles=roles)

    async def service_token(self) -> str | None:
        """Return nothing: there is no account."""
        return None

    def close(self) -> None:
        """Nothing was opened."""


class Tokens:
    """Static tokens, of which only digests are kept.

    A plain SHA-256 is enough here: a token is 256 random bits, so there is
    nothing to guess that a slow hash would slow down.
    """

    def __init__(self, current: Current) -> None:
        self._current = current

    async def __call__(self, request: Request) -> Actor:
        """Name whose token it is; compares all of them, so that time shows nothing."""
        digest = hash_token(token_of(request))
        found = [
            entry for entry in self._current.settings.auth.tokens if hmac.compare_digest(entry.sha256, digest)
        ]
        if not found:
            raise Unauthenticated
        return actor_of(found[0].project, found[0].user, found[0].roles)

    async def service_token(self) -> str | None:
        """Return nothing: there is no account."""
        return None

    def close(self) -> None:
        """Nothing was opened."""


def token_of(request: Request) -> str:
    """Return the token of a request: `X-Auth-Token`, else `Authorization: Bearer`.

    Raises:
        Unauthenticated: There is none, or several, or it can be none.
    """
    tokens = request.headers.getlist("x-auth-token")
    if len(tokens) > 1:  # A proxy before us may have looked at the other one.
        raise Unauthenticated
    token = tokens[0] if tokens else None
    if token is None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated
    return check_token(token)


def own_token(request: Request) -> str | None:
    """Return the caller's own token, for a service that the operator named and that judges it.

    In local mode nobody needs one here, and who sends one means it for there.
    """
    if "x-auth-token" not in request.headers and "authorization" not in request.headers:
        return None
    try:
        return token_of(request)
    except Unauthenticated:
        return None


def check_token(token: str) -> str:
    """Return a token without the space around it.

    Raises:
        Unauthenticated: No token looks like this.
    """
    token = token.strip()
    if not 0 < len(token) <= MAX_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable():
        raise Unauthenticated
    return token


def make_token() -> tuple[str, str]:
    """Return a new token for its holder, and its digest for `auth.tokens`."""
    token = secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """Return the digest that stands for a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def actor_of(project_id: str, user_id: str, roles: Iterable[str]) -> Actor:
    """Name a caller, with the roles that theirs hold.

    Raises:
        Forbidden: None of the roles means anything here.
    """
    held = frozenset(implied for role in roles for implied in IMPLIED.get(role.lower(), ()))
    if not held:
        raise Forbidden(reason=f"this needs one of the roles {', '.join(IMPLIED)}")
    return Actor(project_id=project_id, user_id=user_id, roles=held)


def require_role(actor: Actor, role: str) -> None:
    """Refuse a caller without a role; an admin has them all.

    Raises:
        Forbidden: The role is missing.
    """
    if role not in actor.roles and not actor.is_admin:
        raise Forbidden(reason=f"this needs the role {role}")


def challenge(settings: Settings) -> str:
    """Return the WWW-Authenticate header of a 401, in the form that each mode's clients know."""
    if settings.auth.mode == "keystone":
        return f'Keystone uri="{settings.keystone.auth_url}"'
    return "Bearer"
