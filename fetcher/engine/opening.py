"""The choice of an engine: that of the index."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from fetcher.engine.local import LocalEngine
from fetcher.engine.protocol import Engine
from fetcher.engine.values import Host, HostState
from fetcher.index.protocol import Index
from fetcher.settings.places.index import Index as Rules

if TYPE_CHECKING:
    from fetcher.engine.postgres import PostgresEngine


def open_engine(rules: Rules, index: Index, host: Host) -> AbstractAsyncContextManager[Engine]:
    """Return the engine of the host's kind that goes with an open index: their rows are one database."""
    if not rules.is_shared:
        return nullcontext(LocalEngine(host))
    return _shared(index, host)


async def look_at(index: Index) -> list[HostState]:
    """Return the hosts that share an open index, without becoming one of them.

    Raises:
        StoreFailed: It cannot be read.
    """
    return await _shared(index, Host()).hosts()


def look_over(rules: Rules, index: Index) -> Engine:
    """Return what reads and writes as the engine of an open index does, without becoming one of its hosts."""
    return _shared(index, Host()) if rules.is_shared else LocalEngine()


def _shared(index: Index, host: Host) -> "PostgresEngine":
    from fetcher.engine.postgres import PostgresEngine
    from fetcher.index.postgres.index import Index as PostgresIndex

    assert isinstance(index, PostgresIndex)
    if host.engine == "pgqueuer":
        from fetcher.engine.pgqueuer import PgqueuerEngine

        return PgqueuerEngine(index.connection, host)
    return PostgresEngine(index.connection, host)
