"""Hosts that a URL may name: public names in their one usual form, and addresses where allowed."""

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network

import idna

from fetcher.config import Settings
from fetcher.errors import InvalidUrl

# Names that only an inner network resolves: special-use (RFC 6761, 6762, 7686, 8375, 9476), reserved
# for private use (ICANN: internal), or squatted on by routers, clusters and directories.
INNER_SUFFIXES = frozenset(
    {"local", "localhost", "localdomain", "internal", "intranet", "private", "corp", "home", "lan"}
    | {"onion", "alt", "arpa", "invalid", "consul", "cluster", "docker"}
)
# What idna takes for a dot, though nobody who reads the URL does.
OTHER_DOTS = "\u3002\uff0e\uff61"

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_host(text: str, settings: Settings) -> str:
    """Refuse a host that is no public name; give back the one form that is dialled.

    Args:
        text: As in the URL, an address of IPv6 with its brackets.
        settings: For the names and addresses that the operator allows.

    Raises:
        InvalidUrl: With the rule broken.

    Source: RFC 1123 section 2.1, RFC 5891, RFC 6761.
    """
    host = text.lower() if text.isascii() else _to_ascii(text)
    literal = as_address(host[1:-1] if host.startswith("[") else host)
    if literal is not None and (literal.version == 6) == host.startswith("["):
        if not settings.url.allow_literals and not any(settings.address.allowing(literal)):
            raise InvalidUrl(rule="literal", reason="an address stands in place of a host name")
        return str(literal)
    host = host.removesuffix(".")
    _check_labels(host)
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):  # what libc and others read as an address
        raise InvalidUrl(rule="host", reason="its host is neither a name nor an address in its usual form")
    if _is_inner(host) and not is_named(host, settings.url.allow_hosts):
        raise InvalidUrl(rule="host-name", reason="its host is a name of an inner network")
    return host


@lru_cache(maxsize=1024)
def as_address(host: str) -> IPv4Address | IPv6Address | None:
    """Read an address in its one usual form; libc would take others (0x7f.1, 017700000001) for one too."""
    for kind in (IPv4Address, IPv6Address):
        try:
            address = kind(host)
        except ValueError:
            continue
        if "%" not in host:
            return address
    return None


def is_named(host: str, patterns: Iterable[str]) -> bool:
    """Tell whether an operator names a host: `name` itself, `*.name` for all below it."""
    for pattern in patterns:
        name = pattern.lower().removesuffix(".")
        if host == name or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def passes_by_proxy(host: str, settings: Settings) -> bool:
    """Tell whether a host is reached without the operator's proxy; a name counts with all below it."""
    address = as_address(host)
    for pattern in settings.egress.no_proxy:
        if address is not None:
            with suppress(ValueError):
                if address in ip_network(pattern, strict=False):
                    return True
            continue
        name = pattern.lower().removesuffix(".").lstrip("*").lstrip(".")
        if host == name or host.endswith(f".{name}"):
            return True
    return False


def _is_inner(host: str) -> bool:
    return "." not in host or host.rpartition(".")[2] in INNER_SUFFIXES


def _to_ascii(text: str) -> str:
    """Encode a name in another script label by label; nothing is mapped or folded but ASCII's case."""
    if len(text) > 253 or any(dot in text for dot in OTHER_DOTS):
        raise InvalidUrl(rule="host", reason="its host name is not valid")
    lowered = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    try:
        return ".".join(
            label if label.isascii() else idna.alabel(label).decode() for label in lowered.split(".")
        )
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidUrl(rule="host", reason="its host name is not valid (IDNA)") from error


def _check_labels(host: str) -> None:
    if not 1 <= len(host) <= 253:
        raise InvalidUrl(rule="host", reason="its host name is empty or longer than 253 characters")
    for label in host.split("."):
        if not _LABEL.fullmatch(label):
            raise InvalidUrl(rule="host", reason="its host name is not valid")
        if label.startswith("xn--"):
            _check_a_label(label)


def _check_a_label(label: str) -> None:
    try:
        idna.ulabel(label)
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidUrl(rule="host", reason="its host name is not valid (IDNA)") from error
