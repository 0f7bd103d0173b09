"""Where the service listens, and what clients may cost it."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Address, Mistake, Network, Positive, Seconds, Section


def is_loopback(host: str) -> bool:
    """Return whether a host in a listen address can only be reached from this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Server(Section, frozen=True, kw_only=True):
    """Where the service listens."""

    listen: Address
    max_request_bytes: Positive
    shutdown_seconds: Seconds
    public_url: Annotated[
        str, Meta(pattern=r"^(https?://[^/?#]+)?$", description="http(s)://host[:port] or nothing")
    ]
    x_accel_location: Annotated[
        str,
        Meta(pattern=r"^(/[A-Za-z0-9/_.-]*[A-Za-z0-9])?$", description="a path such as /blobs, or nothing"),
    ]
    cors_origins: list[
        Annotated[str, Meta(pattern=r"^https?://[^/?#\s@]+$", description="http(s)://host[:port]")]
    ]
    page_items: Positive
    max_page_items: Positive
    max_answer_bytes: Positive
    event_seconds: Seconds

    @property
    def host(self) -> str:
        """Return the host to listen on, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Return the port to listen on."""
        return int(self.listen.rpartition(":")[2])

    def mistakes(self) -> Iterator[Mistake]:
        """Find a port that is none."""
        if self.port > 65535:
            yield Mistake(key="server.listen", value=self.listen, expected="a port up to 65535")


class Inbound(Section, frozen=True, kw_only=True):
    """How long clients may keep us waiting, and how many there may be."""

    max_connections: Positive
    max_connections_per_address: Positive
    max_requests_per_project: Positive
    reserved_connections: Positive
    proxies: list[Network]
    head_seconds: Seconds
    idle_seconds: Seconds
    stall_seconds: Seconds
    min_bytes_per_second: Positive
    max_head_bytes: Annotated[int, Meta(ge=1024)]
    max_head_fields: Positive
    max_pipelined: Positive
    max_body_bytes: Positive
    max_descriptors: Annotated[int, Meta(ge=64)]
    max_query_fields: Positive
    max_filter_values: Positive
    statement_seconds: Seconds
