"""The way to the database: how it is reached, and what it must be."""

import select
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from fetcher.errors import StoreFailed
from fetcher.index.postgres.schema import pending

ENCODING = "UTF8"
# A database that vanished without a word is noticed within half a minute.
KEPT_ALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
OPTIONS = "-c idle_in_transaction_session_timeout=30s"
OLDEST = 140_000  # Version 14 ends sessions that stand idle, which a host that froze depends on.


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the connection to the database.

    Args:
        url: Where it is, as libpq takes it, without a password.
        password: None leaves it to libpq's own ways.
        connections: How many there are at most.
        wait_seconds: For a connection, free or new.
    """

    url: str
    password: str | None = None
    connections: int = 8
    wait_seconds: float = 10.0

    @property
    def options(self) -> dict[str, Any]:
        """Return what goes along to libpq: a host that freezes in a transaction must not hold it for ever."""
        options = {
            **KEPT_ALIVE,
            "application_name": "fetcher",
            "options": OPTIONS,
            "connect_timeout": max(2, round(self.wait_seconds)),
        }
        return options if self.password is None else {**options, "password": self.password}

    async def connect(self) -> AsyncConnection[TupleRow]:
        """Open a connection of its own, outside the pool.

        Raises:
            psycopg.Error: It cannot be opened.
        """
        return await AsyncConnection.connect(self.url, autocommit=True, **self.options)


def check_server(connection: AsyncConnection[TupleRow]) -> None:
    """Refuse a database that could not hold our texts, or is too old.

    Raises:
        StoreFailed: It is one of these.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != ENCODING:
        reason = (
            f"index: the database's encoding is {encoding}; make it with ENCODING 'UTF8' TEMPLATE template0"
        )
        raise StoreFailed(reason=reason)
    version = connection.info.server_version
    if version < OLDEST:
        reason = f"index: PostgreSQL {version // 10_000} is too old; {OLDEST // 10_000} or later is needed"
        raise StoreFailed(reason=reason)


async def check_connection(connection: AsyncConnection[Any]) -> None:
    """Ask the database whether a connection still works, where there is reason to doubt it.

    A server that ended or was restarted has closed its side, which can be read without asking.

    Raises:
        psycopg.Error: It does not work.
    """
    readable, _writable, _odd = select.select([connection.fileno()], [], [], 0)
    if readable:
        await AsyncConnectionPool.check_connection(connection)


async def look_at(access: Access) -> str:
    """Return what an operator wants to know of a database; nothing in it changes.

    Raises:
        StoreFailed: It cannot be used.
    """
    try:
        async with await access.connect() as connection:
            check_server(connection)
            waiting = await pending(connection)
            version = connection.info.parameter_status("server_version")
    except psycopg.Error as error:
        raise StoreFailed(reason=f"index: the database cannot be used: {error}".strip()) from error
    return f"PostgreSQL {version}" + (f", {waiting} migrations at the next start" if waiting else "")
