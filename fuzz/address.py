"""The table of addresses agrees with arithmetic on every address, port and set of the operator's ranges."""

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from fetcher.config import load_settings
from fetcher.errors import AddressForbidden
from fetcher.guards.network.address import DENIED_V4, DENIED_V6, HARD, check_address
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.guards.network.address", "fetcher.config"]
SETTINGS = tuple(
    load_settings(changes={"address": address})
    for address in (
        {},
        {"allow": [{"cidr": "10.0.0.0/8", "ports": [8080]}, {"cidr": "127.0.0.1/32"}, {"cidr": "fd00::/8"}]},
        {"allow": [{"cidr": "0.0.0.0/0", "ports": [80, 22]}, {"cidr": "::/0", "ports": [80]}]},
        {"deny": ["8.8.0.0/16", "2a00::/16"], "allow": [{"cidr": "8.8.8.8/32"}]},
        {"nat64_prefixes": ["64:ff9b::/96", "2001:db8:122:300::/56"]},
    )
)
HARD_ROWS, V4_ROWS, V6_ROWS = ([str(net) for net in nets] for nets in (HARD, DENIED_V4, DENIED_V6))
PORTS = (443, 80, 8080, 22, 0, 65535)
EDGES = tuple(
    edge + step
    for net in (*DENIED_V4, *DENIED_V6, *HARD)
    for edge in (int(net[0]), int(net[-1]))
    for step in (-1, 0, 1)
)


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    settings, port = choices.pick(SETTINGS), choices.pick(PORTS)
    number = choices.pick(EDGES) if choices.number(2) else choices.number(2**128)
    if choices.number(4) == 0:
        number = choices.pick((0, 0xFFFF << 32, 0x64FF9B << 96, 0x20010DB8012203 << 72)) | number & 0xFFFFFFFF
    address = IPv4Address(number % 2**32) if choices.number(2) else IPv6Address(number % 2**128)
    try:
        check_address(address, port, settings, "a.example")
        passed = True
    except AddressForbidden as error:
        passed = False
        assert error.port == port
    assert passed is _allowed(address, port, SETTINGS.index(settings))


def _allowed(address: IPv4Address | IPv6Address, port: int, which: int) -> bool:
    rules = SETTINGS[which].address
    number = int(address)
    if isinstance(address, IPv6Address):
        for text in rules.nat64_prefixes:
            if _inside(number, 6, text):
                return _allowed(_unwrapped(number, text), port, which)
    if _is_hard(number, address.version):
        return False
    if any(_inside(number, address.version, text) for text in rules.deny):
        return False
    for entry in rules.allow:
        if _inside(number, address.version, entry.cidr) and port in (entry.ports or (443, 80)):
            return True
    return port in {443, 80} and _public(address)


def _is_hard(number: int, version: int) -> bool:
    wraps = version == 6 and number >> 32 == 0 and number != 1
    return wraps or any(_inside(number, version, net) for net in HARD_ROWS)


def _public(address: IPv4Address | IPv6Address) -> bool:
    number = int(address)
    if isinstance(address, IPv4Address):
        return not any(_inside(number, 4, net) for net in V4_ROWS)
    if number >> 125 != 1 or any(_inside(number, 6, net) for net in V6_ROWS):
        return False
    if number >> 32 & 0xFFFFFFFF in {0x5EFE, 0x2005EFE}:
        inner = IPv4Address(number & 0xFFFFFFFF)
        return _public(inner) and not _is_hard(int(inner), 4)
    return True


def _inside(number: int, version: int, text: str) -> bool:
    net = _network(text)
    bits = 32 if version == 4 else 128
    return net.version == version and number >> (bits - net.prefixlen) == int(net[0]) >> (
        bits - net.prefixlen
    )


@cache
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _unwrapped(number: int, prefix: str) -> IPv4Address:
    if prefix.endswith("/96"):
        return IPv4Address(number & 0xFFFFFFFF)
    # /56: one byte before bits 64 to 71, three after them.
    return IPv4Address((number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF)
