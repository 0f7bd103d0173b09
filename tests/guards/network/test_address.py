"""Which addresses may be dialled: rows A01 to A10 of the attacks, their neighbours, and a second opinion."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.config import BadConfig, Settings, load_settings
from fetcher.errors import AddressForbidden, SourceUnreachable
from fetcher.guards.network.address import DENIED_V4, DENIED_V6, HARD, TABLE_VERSION, check_address, limits
from tests.lab import words

SETTINGS = load_settings()


def with_address(**changes: Any) -> Settings:
    """Change keys of [address]."""
    return load_settings(changes={"address": changes})


def passes(address: str, port: int = 443, settings: Settings = SETTINGS) -> bool:
    """Tell whether an address may be dialled."""
    try:
        check_address(ip_address(address), port, settings, "a.example")
    except AddressForbidden as error:
        return (error.port, error.host) != (port, "a.example")
    return True


@pytest.mark.parametrize(
    "address",
    words(
        """
        127.0.0.1 127.9.9.9 0.0.0.0 0.1.2.3 127.255.255.255 ::1 :: ::127.0.0.1 ::ffff:127.0.0.1
        ::ffff:7f00:1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::7f00:1
        """
    ),
)
def test_a01_a03_this_machine_is_refused_in_every_form(address: str) -> None:
    """Loopback wrapped in another address is loopback."""
    assert not passes(address)


@pytest.mark.parametrize(
    "address",
    words(
        """
        10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 100.64.0.0
        100.127.255.255 198.18.0.0 198.19.255.255 192.0.2.1 198.51.100.1 203.0.113.1 224.0.0.0 224.0.0.1
        239.255.255.255 240.0.0.0 255.255.255.255 169.254.0.0 169.254.169.254 192.0.0.0 192.0.0.255
        192.0.0.192 192.88.99.1 168.63.129.16 100.100.100.200 192.31.196.1
        """
    ),
)
def test_a07_special_ranges_of_ipv4_are_refused(address: str) -> None:
    """First and last addresses of each range too."""
    assert not passes(address)


@pytest.mark.parametrize(
    "address",
    words(
        """
        1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
        169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 172.32.0.1 191.255.255.255 192.0.1.0
        192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.15
        168.63.129.17 93.184.216.34 192.0.3.0 2606:4700::1111 2001:200::1 2a00:1450::1 3ffd::1 2000::
        2003::1 3fff:1000::1 2620:4f:8001::1 2620:4f:7fff::1 3f00::1
        """
    ),
)
def test_a07_edges_outside_are_public(address: str) -> None:
    """One address beyond a special range is the internet."""
    assert passes(address)


@pytest.mark.parametrize(
    "address",
    words(
        """
        fc00::1 fdff::1 fe80::1 febf::1 fec0::1 ff02::1 2001:db8::1 3fff::1 5f00::1 4000::1 100:0:0:1::1
        100::1 1fff:ffff:: 64:ff9b:1::1 2001::1 2001:1ff::1 3ffe::1 2620:4f:8000::1 fd00:ec2::254
        fd20:ce::254 ::ffff:8.8.8.8 ::8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1 8000::
        """
    ),
)
def test_a08_special_ranges_of_ipv6_are_refused(address: str) -> None:
    """Only what is given out to the public passes, on every supported Python."""
    assert not passes(address)


@pytest.mark.parametrize("zone", ["1", "eth0", "lo"])
def test_a08_zones_are_refused(zone: str) -> None:
    """An address with a zone is bound to one link, public or not."""
    assert not passes(f"2606:4700::1111%{zone}")
    assert not passes(f"fe80::1%{zone}", settings=with_address(allow=[{"cidr": "fe80::/10"}]))


@pytest.mark.parametrize(("interface", "is_good"), [("0:5efe", False), ("200:5efe", False), ("1:5efe", True)])
def test_a03_isatap_is_judged_by_the_address_inside(interface: str, is_good: bool) -> None:
    """A router takes the IPv4 address out of such an IPv6 one."""
    assert passes(f"2606:4700::{interface}:127.0.0.1") is is_good
    assert passes(f"2606:4700::{interface}:169.254.169.254") is is_good
    assert passes(f"2606:4700::{interface}:8.8.8.8")


def test_a10_operator_opens_a_range_and_nothing_beside_it() -> None:
    """The mapped form is not the IPv4 address that was opened."""
    opened = with_address(allow=[{"cidr": "10.1.0.0/16"}])
    assert passes("10.1.2.3", settings=opened)
    assert passes("10.1.0.0", settings=opened)
    assert passes("10.1.255.255", settings=opened)
    assert not passes("10.2.0.1", settings=opened)
    assert not passes("10.0.255.255", settings=opened)
    assert not passes("::ffff:10.1.2.3", settings=opened)
    assert not passes("::10.1.2.3", settings=opened)


def test_a10_opened_ports_are_those_of_the_entry() -> None:
    """Address and port are allowed together, never one from here and one from there."""
    opened = with_address(
        allow=[{"cidr": "10.1.0.0/16", "ports": [8443]}, {"cidr": "10.1.1.0/24", "ports": [9000]}]
    )
    assert passes("10.1.2.3", 8443, opened)
    assert not passes("10.1.2.3", 443, opened)
    assert not passes("10.1.2.3", 9000, opened)
    assert passes("10.1.1.3", 9000, opened)
    assert passes("10.1.1.3", 8443, opened)
    assert not passes("93.184.216.34", 8443, opened)
    assert passes("93.184.216.34", 443, opened)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111"])
@pytest.mark.parametrize("port", [22, 6379, 0, 8080])
def test_u07_public_addresses_are_dialled_on_listed_ports_alone(address: str, port: int) -> None:
    """A port that got past the URL is stopped at the dial."""
    assert not passes(address, port)


@pytest.mark.parametrize("row", [str(network) for network in HARD])
def test_hard_set_cannot_be_opened(row: str) -> None:
    """No entry of the operator makes metadata or this link reachable."""
    network = ip_network(row)
    everything = with_address(allow=[{"cidr": "0.0.0.0/0", "ports": [80]}, {"cidr": "::/0", "ports": [80]}])
    assert not passes(str(network[0]), 80, everything)
    assert not passes(str(network[-1]), 80, everything)


def test_hard_set_spares_loopback() -> None:
    """A lab or a mirror on this machine can be opened."""
    opened = with_address(allow=[{"cidr": "127.0.0.1/32", "ports": [80]}, {"cidr": "::1/128", "ports": [80]}])
    assert passes("127.0.0.1", 80, opened)
    assert passes("::1", 80, opened)
    assert not passes("127.0.0.2", 80, opened)


def test_operator_may_deny_public_addresses() -> None:
    """One's own addresses behind NAT lead back inside; denying outranks allowing."""
    denied = with_address(deny=["93.184.216.0/24", "2606:4700::/32"], allow=[{"cidr": "93.184.216.34/32"}])
    assert not passes("93.184.216.34", settings=denied)
    assert not passes("2606:4700::1111", settings=denied)
    assert passes("93.184.217.1", settings=denied)


@pytest.mark.parametrize(
    ("prefix", "wrap"),
    [
        ("2001:db8::/32", "2001:db8:{a}{b}:{c}{d}::"),
        ("2001:db8:100::/40", "2001:db8:1{a}:{b}{c}:{d}::"),
        ("2001:db8:122::/48", "2001:db8:122:{a}{b}:{c}:{d}00::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3{a}:{b}:{c}{d}::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:{a}:{b}{c}:{d}00:0"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::{a}{b}:{c}{d}"),
        ("64:ff9b::/96", "64:ff9b::{a}{b}:{c}{d}"),
    ],
)
def test_nat64_is_judged_by_the_address_inside(prefix: str, wrap: str) -> None:
    """Where IPv4 is reached through a prefix, the prefix changes no verdict (RFC 6052 section 2.4)."""
    behind = with_address(nat64_prefixes=[prefix])

    def wrapped(address: str) -> str:
        return wrap.format(
            **dict(zip("abcd", (f"{int(part):02x}" for part in address.split(".")), strict=True))
        )

    for good in ("8.8.8.8", "93.184.216.34", "192.0.3.33"):
        assert passes(wrapped(good), settings=behind)
    for bad in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.0.2.33", "224.0.0.1"):
        assert not passes(wrapped(bad), settings=behind)


def test_submitter_learns_nothing_of_addresses() -> None:
    """All that is said outside is that the source cannot be reached."""
    with pytest.raises(AddressForbidden) as caught:
        check_address(IPv4Address("10.0.0.1"), 443, SETTINGS, "db.corp.example")
    assert isinstance(caught.value.public(), SourceUnreachable)
    assert caught.value.public_fields() == {}
    assert "10.0.0.1" in str(caught.value)


DENIED_RANGES = [(int(net[0]), int(net[-1])) for net in DENIED_V4]
V6_RANGES = [(int(net[0]), int(net[-1])) for net in DENIED_V6]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Judge by arithmetic on numbers alone: a second opinion on the table."""
    number = int(address)
    if isinstance(address, IPv4Address):
        return not any(first <= number <= last for first, last in DENIED_RANGES)
    if number >> 125 != 1 or any(first <= number <= last for first, last in V6_RANGES):
        return False
    if (number >> 32) & 0xFFFFFFFF in {0x5EFE, 0x2005EFE}:
        return is_public(IPv4Address(number & 0xFFFFFFFF))
    return True


EDGES = [
    edge + step for pair in DENIED_RANGES for edge in pair for step in (-1, 0, 1) if 0 <= edge + step < 2**32
]
V6_EDGES = [edge + step for pair in V6_RANGES for edge in pair for step in (-1, 0, 1)]
FOUR = (st.integers(0, 2**32 - 1) | st.sampled_from(EDGES)).map(IPv4Address)
SIX = (
    st.integers(0, 2**128 - 1)
    | st.integers(2**125, 2**126 - 1)
    | st.sampled_from(V6_EDGES)
    | st.builds(
        lambda high, low: high << 32 | low,
        st.sampled_from([0, 0xFFFF, 0xFFFF0000, 0x64FF9B << 64]),
        st.sampled_from(EDGES),
    )
).map(IPv6Address)


@given(address=FOUR | SIX)
@example(address=IPv6Address("2606:4700::5efe:7f00:1"))
def test_table_agrees_with_arithmetic(address: IPv4Address | IPv6Address) -> None:
    """Two ways to judge, one verdict, for every address there is."""
    assert passes(str(address)) is is_public(address)


@given(address=FOUR | SIX)
def test_nothing_private_is_public(address: IPv4Address | IPv6Address) -> None:
    """Whatever the interpreter's own tables call private, loopback or multicast never passes here."""
    if passes(str(address)):
        assert not address.is_loopback
        assert not address.is_link_local
        assert not address.is_multicast
        assert not address.is_unspecified
        assert not (address.is_private and address.is_reserved)


@pytest.mark.parametrize(
    "bad",
    [
        {"deny": ["10.0.0.1/8"]},
        {"allow": [{"cidr": "nope/8"}]},
        {"nat64_prefixes": ["64:ff9b::/95"]},
        {"nat64_prefixes": ["10.0.0.0/8"]},
    ],
)
def test_networks_that_are_none_are_mistakes(bad: dict[str, Any]) -> None:
    """A typing error in a range is found at the start, not by an attacker."""
    with pytest.raises(BadConfig):
        with_address(**bad)


def test_limits_are_published() -> None:
    """The table's version is told, the operator's ranges are not."""
    opened = with_address(allow=[{"cidr": "10.1.0.0/16"}])
    (limit,) = limits(opened)
    assert limit.value == TABLE_VERSION
    assert "10.1" not in limit.description
    assert limits(SETTINGS)[0].description != limit.description
