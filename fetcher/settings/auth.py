"""Access to the service."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Name, Seconds, Section


class Token(Section, frozen=True, kw_only=True):
    """A static token and whose it is.

    Args:
        sha256: Of the token, which is kept nowhere.
    """

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits")]
    project: Name
    user: Name
    roles: Annotated[list[Literal["reader", "member", "admin"]], Meta(min_length=1)]


class Auth(Section, frozen=True, kw_only=True):
    """Access to the service."""

    mode: Literal["local", "tokens", "keystone"]
    project: Name
    tokens: list[Token]


class Keystone(Section, frozen=True, kw_only=True):
    """The identity service."""

    auth_url: Annotated[
        str, Meta(pattern=r"^(https?://[^?#\s]+)?$", description="http(s)://host[:port]/v3 or nothing")
    ]
    username: str
    password: str
    password_file: str
    project: str
    user_domain_id: str
    project_domain_id: str
    ca_file: str
    service_token_roles: list[Name]
    endpoint_id: str
    limits_seconds: Seconds
    timeout_seconds: Seconds
    cache_seconds: Seconds
    refused_seconds: Seconds
