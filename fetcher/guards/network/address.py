"""Addresses that may be dialled: the public internet, by a table of our own, and the operator's ranges."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from fetcher.config import Settings
from fetcher.errors import AddressForbidden
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec

# The interpreter's own `is_global` changes with its patch level and passes multicast, NAT64 and others,
# so the table is pinned here. A change of a row is a change of this version.
TABLE_VERSION = "2026-11-22"

DENIED_V4 = tuple(
    IPv4Network(row)
    for row in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared, behind carriers' NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "168.63.129.16/32",  # Azure's host
    )
)
# IPv6 is the other way round: one range is given out to the public, so new special ranges need no update.
PUBLIC_V6 = IPv6Network("2000::/3")
DENIED_V6 = tuple(
    IPv6Network(row)
    for row in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID ...
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: wraps an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the former 6bone
        "3fff::/20",  # documentation
    )
)
# What no entry of the operator opens: there is no image there, only harm.
HARD: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(row)
    for row in (
        "0.0.0.0/8",  # dials this machine
        "169.254.0.0/16",  # link-local, metadata
        "224.0.0.0/4",  # multicast
        "255.255.255.255/32",  # broadcast
        "168.63.129.16/32",  # metadata: Azure
        "192.0.0.192/32",  # metadata: Oracle
        "100.100.100.200/32",  # metadata: Alibaba
        "::/128",  # dials this machine
        "::ffff:0:0/96",  # IPv4 in IPv6: judged as what it is, or not at all
        "::ffff:0:0:0/96",  # likewise, translated
        "64:ff9b:1::/48",  # NAT64 for inner networks
        "2001::/32",  # Teredo wraps an IPv4 address
        "2002::/16",  # 6to4 wraps an IPv4 address
        "fe80::/10",  # link-local
        "fec0::/10",  # the former site-local
        "ff00::/8",  # multicast
        "fd00:ec2::254/128",  # metadata: Amazon
        "fd20:ce::254/128",  # metadata: Google
    )
)
COMPATIBLE = IPv6Network("::/96")  # deprecated IPv4 in IPv6, but for ::1
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def check_address(address: IPv4Address | IPv6Address, port: int, settings: Settings, host: str) -> None:
    """Refuse an address and port that are neither public nor opened by the operator.

    Call it with what is about to be dialled, never with a name: a name can
    resolve to something else a moment later.

    Args:
        address: As in the socket address that is connected to.
        port: Likewise.
        settings: For the operator's ranges and the ports that are fetched from.
        host: For the log: whose address it is.

    Raises:
        AddressForbidden: With the reason, which only the operator gets to see.

    Source: IANA special-purpose address registries, RFC 6890, RFC 6052, RFC 5214.
    """
    reason = _objection(address, port, settings)
    if reason:
        raise AddressForbidden(host=host, address=str(address), port=port, reason=reason)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here; the operator's ranges stay unsaid."""
    return (
        Limit(
            name="address_table",
            type="string",
            value=TABLE_VERSION,
            description="Only addresses of the public internet are fetched from, by this table; "
            f"{'the operator opened more' if settings.address.allow else 'nothing else is open'}.",
            guard="address",
        ),
    )


def _objection(address: IPv4Address | IPv6Address, port: int, settings: Settings) -> str:
    """Say what is wrong with an address; nothing if nothing is."""
    inner = _unwrap(address, settings)
    if inner is not None:
        return _objection(inner, port, settings)
    hard = _hard_objection(address)
    if hard:
        return hard
    if _is_in(address, settings.address.deny):
        return "the operator denied it"
    opened = list(settings.address.allowing(address))
    if any(port in (allowed.ports or settings.url.ports) for allowed in opened):
        return ""
    return _public_objection(address) or ("" if port in settings.url.ports else "the port is not opened")


def _is_in(address: IPv4Address | IPv6Address, networks: list[str]) -> bool:
    return any(address in _network(network) for network in networks)


@lru_cache(maxsize=256)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _unwrap(address: IPv4Address | IPv6Address, settings: Settings) -> IPv4Address | None:
    """Take the IPv4 address out of one of the operator's NAT64 prefixes.

    Source: RFC 6052 section 2.2: the address follows the prefix and skips bits 64 to 71.
    """
    if isinstance(address, IPv4Address) or address.scope_id is not None:
        return None
    for text in settings.address.nat64_prefixes:
        prefix = IPv6Network(text)
        if address in prefix:
            packed = address.packed
            after = packed[12:] if prefix.prefixlen == 96 else packed[:8] + packed[9:]
            start = 0 if prefix.prefixlen == 96 else prefix.prefixlen // 8
            return IPv4Address(after[start : start + 4])
    return None


@lru_cache(maxsize=1024)
def _hard_objection(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "it is bound to one link"
        if address in COMPATIBLE and address != IPv6Address("::1"):
            return f"it is in {COMPATIBLE}, which is never fetched from"
    for network in HARD:
        if address in network:
            return f"it is in {network}, which is never fetched from"
    return ""


@lru_cache(maxsize=1024)
def _public_objection(address: IPv4Address | IPv6Address) -> str:
    denied: tuple[IPv4Network | IPv6Network, ...] = DENIED_V4
    if isinstance(address, IPv6Address):
        if address not in PUBLIC_V6:
            return f"it is outside {PUBLIC_V6}"
        if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
            wrapped = _hard_objection(inner) or _public_objection(inner)
            if wrapped:
                return f"it wraps an IPv4 address, and {wrapped}"
        denied = DENIED_V6
    for network in denied:
        if address in network:
            return f"it is in {network}"
    return ""


GUARD = GuardSpec(
    name="address", title="Addresses", sections=("address",), limits=limits, checks=(check_address,)
)
