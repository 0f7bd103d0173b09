"""The number of connections that the process has descriptors for."""

from typing import NamedTuple

from fetcher.config import Settings

# The listening socket, the index and its readers, the lock, the loop, standard streams, libraries.
FIXED_DESCRIPTORS = 64
# A client may have a file open beside its connection, which has a second descriptor while that is sent.
PER_CONNECTION = 3
# A pull has its staged file twice (once past the page cache) and connections to its source.
PER_IMPORT = 4
# A part on its way to a receiver has the image's file open, and a connection.
PER_PART = 2


class AddressLimiter(NamedTuple):
    """The uses of the process's descriptors.

    Args:
        descriptors: The limit in force.
        connections: Of clients, in all.
        kept: Descriptors for the store, the index and sources, which clients cannot take.
        is_tight: The limit is too low for what is configured.
    """

    descriptors: int
    connections: int
    kept: int
    is_tight: bool


def places(settings: Settings, descriptors: int) -> AddressLimiter:
    """Divide the descriptors: clients get at most half of what the service itself does not need always."""
    wanted = settings.inbound.max_connections + settings.inbound.reserved_connections
    needed = FIXED_DESCRIPTORS + PER_CONNECTION * wanted + PER_IMPORT * settings.imports.max_running
    if settings.exports.receivers:
        needed += PER_PART * settings.exports.max_running * settings.exports.parts_at_once
    half = max(8, (descriptors - FIXED_DESCRIPTORS) // (2 * PER_CONNECTION))
    connections = min(wanted, half)
    kept = descriptors - PER_CONNECTION * connections
    return AddressLimiter(descriptors, connections, kept, is_tight=descriptors < needed)
