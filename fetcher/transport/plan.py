"""The addresses that one hop may dial: judged when they are found, and again when a socket is made."""

import socket
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import chain, zip_longest

from fetcher.config import Settings
from fetcher.errors import AddressForbidden
from fetcher.guards.network.address import check_address

AnyAddress = IPv4Address | IPv6Address
# Each may take its time to fail; a source with more dead addresses than that is as good as down.
MAX_DIALS = 4


def is_own(address: AnyAddress, port: int) -> bool:
    """Tell whether an address is one of this machine's, public ones too; nothing is sent.

    A UDP socket that is connected to the machine itself takes the very same
    address as its own end.
    """
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), port))
        except OSError:
            return False  # there is no way there at all
        return str(probe.getsockname()[0]) == str(address)


def family_of(address: AnyAddress) -> socket.AddressFamily:
    """Tell the socket family of an address."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def in_turns(addresses: Sequence[AnyAddress]) -> list[AnyAddress]:
    """Return addresses with both families in turn, the machine's preference first.

    Source: RFC 8305 section 4.
    """
    same = [address for address in addresses if address.version == addresses[0].version]
    other = [address for address in addresses if address.version != addresses[0].version]
    mixed = chain.from_iterable(zip_longest(same, other))
    return [address for address in mixed if address is not None]


class Plan:
    """The targets of one hop.

    Args:
        host: Whose addresses they are.
        port: The same for all.
        addresses: What the name resolved to, or the one in its place.
        settings: For the rules.
        is_proxy: They are the operator's own proxy, whose address no rule binds.
        own_ports: That this service listens on, whatever the settings say.

    Attributes:
        order: Which to dial, one after the other.
    """

    owns = staticmethod(is_own)

    def __init__(  # noqa: PLR0913 - all that decides where a hop may lead
        self,
        host: str,
        port: int,
        addresses: Sequence[AnyAddress],
        settings: Settings,
        *,
        is_proxy: bool = False,
        own_ports: Collection[int] = (),
    ) -> None:
        self.host = host
        self.port = port
        self.addresses = tuple(addresses)
        self._settings = settings
        self.is_proxy = is_proxy
        self._own_ports = {settings.server.port, *own_ports}
        self.order = in_turns(self.addresses)[:MAX_DIALS]

    def judge(self) -> None:
        """Refuse the hop if any of its addresses is forbidden.

        Picking the good ones would let a name that rotates its answers try
        again and again.

        Raises:
            AddressForbidden: At the first that is.
        """
        for address in self.addresses:
            self._judge(address)

    def make_socket(self, address: AnyAddress) -> socket.socket:
        """Make the socket of one dial. No other socket of this service leads to a source.

        Raises:
            AddressForbidden: The address is not of this plan, or forbidden.
        """
        if address not in self.addresses:
            raise self._forbid(address, "it is not the address that was judged")
        self._judge(address)
        return socket.socket(family_of(address), socket.SOCK_STREAM, socket.IPPROTO_TCP)

    def _judge(self, address: AnyAddress) -> None:
        if self.is_proxy:
            return
        check_address(address, self.port, self._settings, self.host)
        if self._may_be_own(address) or not self.owns(address, self.port):
            return
        raise self._forbid(address, "it is this machine's own")

    def _may_be_own(self, address: AnyAddress) -> bool:
        """Return whether the operator opened this very port, ours or not; never the one that we listen on."""
        entries = self._settings.address.allowing(address)
        is_opened = any(self.port in (allowed.ports or self._settings.url.ports) for allowed in entries)
        return is_opened and self.port not in self._own_ports

    def _forbid(self, address: AnyAddress, reason: str) -> AddressForbidden:
        return AddressForbidden(host=self.host, address=str(address), port=self.port, reason=reason)
