"""Which engine a service has: that of its index."""

from contextlib import AbstractAsyncContextManager, nullcontext

from fetcher.engine.local import LocalEngine
from fetcher.engine.protocol import Engine
from fetcher.engine.values import Host
from fetcher.index.protocol import Index
from fetcher.settings.index import Index as Rules


def open_engine(rules: Rules, index: Index, host: Host) -> AbstractAsyncContextManager[Engine]:
    """Return the engine that goes with an open index: its rows and the engine's are one database."""
    if not rules.is_shared:
        return nullcontext(LocalEngine(host))
    from fetcher.engine.postgres import PostgresEngine
    from fetcher.index.postgres.index import Index as PostgresIndex

    assert isinstance(index, PostgresIndex)
    return PostgresEngine(index.connection, host)
