"""The section of the guard `address`."""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import msgspec

from fetcher.settings.base import Mistake, Network, Port, Section


class AllowedRange(Section, frozen=True, kw_only=True):
    """A range of addresses that may be dialled though it is not public.

    Args:
        ports: Which ports; none given means those of `[url]`.
    """

    cidr: str
    ports: list[Port] = msgspec.field(default_factory=list)

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """Return the range as a network."""
        return _network(self.cidr)


@lru_cache(maxsize=256)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


class AddressRules(Section, frozen=True, kw_only=True):
    """The addresses that may be dialled."""

    allow: list[AllowedRange]
    deny: list[Network]
    nat64_prefixes: list[Network]

    def allowing(self, address: IPv4Address | IPv6Address) -> Iterator[AllowedRange]:
        """Find the operator's entries that an address lies in."""
        return (entry for entry in self.allow if address in entry.network)

    def mistakes(self) -> Iterator[Mistake]:
        """Find ranges that are no networks."""
        keys = {
            "allow.cidr": [entry.cidr for entry in self.allow],
            "deny": self.deny,
            "nat64_prefixes": self.nat64_prefixes,
        }
        for key, values in keys.items():
            for value in values:
                wanted = "a network such as 10.1.0.0/16"
                try:
                    network = ip_network(value)
                except ValueError:
                    yield Mistake(key=f"address.{key}", value=value, expected=wanted)
                    continue
                if key == "nat64_prefixes" and (
                    network.version != 6 or network.prefixlen not in {32, 40, 48, 56, 64, 96}
                ):
                    wanted = "an IPv6 network of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)"
                    yield Mistake(key=f"address.{key}", value=value, expected=wanted)
