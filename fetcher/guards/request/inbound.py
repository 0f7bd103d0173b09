"""Limits on what clients send, and how slowly: published here, enforced where connections come in."""

from fetcher.config import Settings
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what a client can keep to."""
    inbound, server = settings.inbound, settings.server
    published: dict[str, tuple[object, str]] = {
        "max_connections_per_address": (
            inbound.max_connections_per_address,
            "Connections of one client address (IPv6: of its /64) that may be open at once.",
        ),
        "max_requests_per_project": (
            inbound.max_requests_per_project,
            "Requests of one project that are answered at once, event streams and downloads among them.",
        ),
        "request_head_seconds": (inbound.head_seconds, "For the head of one request."),
        "request_idle_seconds": (inbound.idle_seconds, "Between two requests of one connection."),
        "request_stall_seconds": (
            inbound.stall_seconds,
            "How long a body or the reading of an answer may stand still.",
        ),
        "request_min_bytes_per_second": (
            inbound.min_bytes_per_second,
            "Whoever sends or reads more slowly for longer is disconnected.",
        ),
        "max_request_head_bytes": (inbound.max_head_bytes, "The line and header fields of a request."),
        "max_request_bytes": (server.max_request_bytes, "The body of a request that is no image."),
        "max_query_fields": (inbound.max_query_fields, "Parameters of one URL."),
        "max_filter_values": (
            inbound.max_filter_values,
            "Values of all filters of one list together, those of in: included.",
        ),
    }
    return tuple(
        Limit(
            name=name,
            type="number" if isinstance(value, float) else "integer",
            value=value,
            description=text,
            guard="inbound",
        )
        for name, (value, text) in published.items()
    )


GUARD = GuardSpec(
    name="inbound",
    title="Requests",
    sections=("inbound", "server"),
    limits=limits,
    keys=(
        "max_connections_per_address",
        "max_requests_per_project",
        "head_seconds",
        "idle_seconds",
        "stall_seconds",
        "min_bytes_per_second",
        "max_head_bytes",
        "max_request_bytes",
        "max_query_fields",
        "max_filter_values",
    ),
)
