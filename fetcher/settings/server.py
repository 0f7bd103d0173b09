"""The listening socket, and the cost of clients."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from fetcher.settings.base import Address, Mistake, Network, Positive, Seconds, Section

# The first parts of the service's own paths, which a path in front of them must not be taken for.
OWN_PATHS = frozenset(
    {
        "catalogue",
        "docs",
        "errors",
        "exports",
        "healthcheck",
        "healthz",
        "images",
        "imports",
        "keys",
        "limits",
        "metrics",
        "openapi.json",
        "page",
        "readyz",
        "schedules",
        "streams",
    }
    | {"v2", "versions"}
)


def is_loopback(host: str) -> bool:
    """Return whether a host in a listen address can only be reached from this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Server(Section, frozen=True, kw_only=True):
    """The listening socket."""

    listen: Address
    max_request_bytes: Positive
    shutdown_seconds: Seconds
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/?#\s@]+(/[A-Za-z0-9._~-]+)*)?$",
            description="http(s)://host[:port], with the path that a proxy offers us below, or nothing",
        ),
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
    def path(self) -> Path | None:
        """Return the path of the Unix socket to listen on; None for a port."""
        return Path(self.listen.removeprefix("unix:")) if self.listen.startswith("unix:") else None

    @property
    def host(self) -> str:
        """Return the host to listen on, without brackets; nothing for a path."""
        return "" if self.path is not None else self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Return the port to listen on; 0 for a path."""
        return 0 if self.path is not None else int(self.listen.rpartition(":")[2])

    @property
    def is_local(self) -> bool:
        """Return whether only this machine's users can reach it."""
        return self.path is not None or is_loopback(self.host)

    def mistakes(self) -> Iterator[Mistake]:
        """Find a port that is none."""
        if self.port > 65535:
            yield Mistake(key="server.listen", value=self.listen, expected="a port up to 65535")
        first = urlsplit(self.public_url).path[1:].partition("/")[0]
        if first in OWN_PATHS:
            expected = (
                f"a path that does not begin like one of the service's own: {', '.join(sorted(OWN_PATHS))}"
            )
            yield Mistake(key="server.public_url", value=self.public_url, expected=expected)


class Inbound(Section, frozen=True, kw_only=True):
    """The patience with clients, and their number."""

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
