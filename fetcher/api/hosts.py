"""Whom a request was meant for: its Host field, as a whole authority."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from fetcher.config import Settings

# uri-host [":" port] of RFC 9110 section 7.2, without percent-encoding, which no browser sends.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::([0-9]{1,5}))?")
LOCAL_NAMES = frozenset({"localhost", "ip6-localhost"})
PORTS = {"http": 80, "https": 443}


def is_for_us(fields: Sequence[bytes], settings: Settings) -> bool:
    """Return whether a request names this service, and nobody else, as whom it is meant for.

    In every mode there is exactly one Host field, with an authority. In local
    mode, where everybody who reaches the port is let in, it is one of loopback
    or that of `server.public_url`: a web page that points a name of its own at
    loopback (DNS rebinding) sends that name.

    Source: RFC 9112 section 3.2.
    """
    if len(fields) != 1:
        return False
    found = _split(fields[0].decode("latin-1"))
    if found is None:
        return False
    if settings.auth.mode != "local":
        return True
    name, port = found
    return _is_loopback(name) or _is_public(name, port, settings.server.public_url)


def _split(text: str) -> tuple[str, int | None] | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = int(match[2]) if match[2] else None
    if port is not None and port > 65535:
        return None
    return match[1].strip("[]").lower().removesuffix("."), port


@lru_cache(maxsize=64)
def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name in LOCAL_NAMES


def _is_public(name: str, port: int | None, public_url: str) -> bool:
    if not public_url:
        return False
    public = urlsplit(public_url)
    usual = PORTS[public.scheme]
    meant = (public.hostname or "").removesuffix(".")
    return (name, port or usual) == (meant, public.port or usual)
