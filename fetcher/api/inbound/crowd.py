"""The connected clients: places for them, and the choice of who leaves when all are taken."""

from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from fetcher.settings.server import Inbound

# So many of those sent away are disconnected a moment later: a client that comes back at once sends away
# another, which does likewise, and everybody else waits at the door behind them.
MAX_LEAVING = 1024
IPV6_CLIENT_BITS = 64  # One household or machine has at least so much (RFC 6177).


class Client(Protocol):
    """A connection, as far as its place is concerned."""

    def leave(self) -> None:
        """Hang up at once."""

    def leave_soon(self) -> None:
        """Listen no more, and hang up in a moment: the place is another's."""


class Place(Enum):
    """The place of a new connection."""

    NORMAL = "normal"
    RESERVED = "reserved"
    NONE = "none"


class Crowd:
    """All connected clients, with those that only sit there in the order in which they fell silent.

    A new client is taken in wherever one that asks for nothing can leave in
    its stead: first those that have never asked for anything, then those
    between two requests. Clients that are being served are never sent away.

    Args:
        rules: In force now.
        most: How many there may be in all, the reserved places included.
    """

    def __init__(self, rules: Callable[[], Inbound], most: int) -> None:
        self.most = most
        self._rules = rules
        self._address_of: dict[Client, str] = {}
        self._reserved: dict[Client, None] = {}
        self._counts: Counter[str] = Counter()
        # By address, and in the order of falling silent.
        self._strangers: dict[str, dict[Client, None]] = {}
        self._idle: dict[str, dict[Client, None]] = {}
        self._leaving: dict[Client, None] = {}
        self._networks: tuple[list[str], list[IPv4Network | IPv6Network]] = ([], [])

    def __len__(self) -> int:
        """Return how many are connected."""
        return len(self._address_of)

    def admit(self, address: str) -> Place:
        """Find a place for a client that has just connected; others may have to leave."""
        rules = self._rules()
        if self._counts[address] >= rules.max_connections_per_address and not self._is_proxy(address):
            if not self._send_away(address):
                return Place.NONE
        elif len(self) >= self._normal(rules) and not self._send_away(self._heaviest()):
            if len(self) < self.most:
                return Place.RESERVED
            return Place.RESERVED if self._empty_reserved() else Place.NONE
        return Place.NORMAL

    def enter(self, client: Client, address: str, place: Place) -> None:
        """Note a client that was admitted and has not asked for anything yet."""
        self._address_of[client] = address
        self._counts[address] += 1
        if place is Place.RESERVED:
            self._reserved[client] = None
        else:
            self._strangers.setdefault(address, {})[client] = None

    def begin(self, client: Client) -> None:
        """Note that a client has asked for something."""
        self._forget_silence(client)
        self._reserved.pop(client, None)

    def rest(self, client: Client) -> None:
        """Note that a client has its answer and asks for nothing more."""
        address = self._address_of.get(client)
        if address is not None:
            self._idle.setdefault(address, {})[client] = None

    def exit(self, client: Client) -> None:
        """Forget a client that is gone; one that was never here is fine."""
        self._forget_silence(client)
        self._leaving.pop(client, None)
        self._reserved.pop(client, None)
        address = self._address_of.pop(client, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def make_room(self) -> bool:
        """Send away the client that can best be spared; False where all are being served."""
        if self._leaving:
            self._let_go()
            return True
        return self._send_away(self._heaviest()) and self._let_go()

    def _let_go(self) -> bool:
        client = next(iter(self._leaving))
        del self._leaving[client]
        client.leave()
        return True

    def _normal(self, rules: Inbound) -> int:
        """Return how many may be connected before the reserved places are used."""
        reserve = min(rules.reserved_connections, self.most // 4)
        return max(1, min(rules.max_connections, self.most - reserve))

    def _heaviest(self) -> str:
        """Return the address with the most silent clients."""
        for silent in (self._strangers, self._idle):
            if silent:
                return max(silent, key=lambda address: len(silent[address]))
        return ""

    def _send_away(self, address: str) -> bool:
        for silent in (self._strangers, self._idle):
            for client in silent.get(address, ()):
                self.exit(client)
                client.leave_soon()
                self._leaving[client] = None
                if len(self._leaving) > min(MAX_LEAVING, self.most):
                    self._let_go()
                return True
        return False

    def _empty_reserved(self) -> bool:
        for client in self._reserved:
            self.exit(client)
            client.leave()
            return True
        return False

    def _forget_silence(self, client: Client) -> None:
        address = self._address_of.get(client, "")
        for silent in (self._strangers, self._idle):
            clients = silent.get(address)
            if clients is not None:
                clients.pop(client, None)
                if not clients:
                    del silent[address]

    def _is_proxy(self, address: str) -> bool:
        if not address:  # A Unix socket: the operator has decided who may open its path.
            return True
        texts = self._rules().proxies
        if self._networks[0] != texts:
            self._networks = (list(texts), [ip_network(text) for text in texts])
        if not self._networks[1]:
            return False
        found = ip_address(address.partition("/")[0])
        return any(found in network for network in self._networks[1])


def client_address(peername: object) -> str:
    """Name the client that a connection counts for: an IPv4 address, or the /64 of an IPv6 one."""
    return _client_of(str(peername[0])) if isinstance(peername, tuple) and peername else ""


@lru_cache(maxsize=4096)
def _client_of(host: str) -> str:
    text = host.partition("%")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((int(address) >> IPV6_CLIENT_BITS << IPV6_CLIENT_BITS, IPV6_CLIENT_BITS)))
    return str(address)
