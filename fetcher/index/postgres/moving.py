"""All records of a PostgreSQL database as tables, for moving them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from fetcher.errors import Conflict, StoreFailed
from fetcher.index.moving import Table, Values
from fetcher.index.postgres.access import Access
from fetcher.index.postgres.schema import LOCK

AT_ONCE = 1000  # Rows that are read ahead.

TABLES = """
    SELECT t.relname::text,
        ARRAY(SELECT a.attname::text FROM pg_attribute a
            WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
        ARRAY(SELECT a.attname::text FROM pg_constraint c
            CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number
            WHERE c.conrelid = t.oid AND c.contype = 'p' ORDER BY k.place),
        ARRAY(SELECT p.relname::text FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid
            WHERE c.conrelid = t.oid AND c.contype = 'f')
    FROM pg_class t WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace ORDER BY 1"""
SEQUENCES = """SELECT t.relname::text, a.attname::text,
        pg_get_serial_sequence(quote_ident(t.relname::text), a.attname::text)
    FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
    WHERE t.relnamespace = current_schema()::regnamespace AND a.attidentity <> ''"""


class DatabaseRecords:
    """The tables of one database, in one transaction; a host that starts meanwhile waits for its end."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._db: psycopg.Connection[Any]

    @contextmanager
    def open(self, *, is_target: bool) -> Iterator[Self]:
        try:
            options = self._access.options
            with psycopg.connect(self._access.url, autocommit=True, **options) as self._db:
                self._db.execute("SET idle_in_transaction_session_timeout = 0")
                if not self._value(SQL("SELECT pg_try_advisory_lock({})").format(LOCK)):  # Until it ends.
                    raise Conflict(reason="a host that starts, or another move, has the database: try again")
                with self._db.transaction():
                    mode = b"READ WRITE" if is_target else b"READ ONLY"
                    self._db.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, " + mode)
                    yield self
        except psycopg.Error as error:
            # The whole message may show the row that was refused, and with it a secret.
            raise StoreFailed(reason=f"index: {error.diag.message_primary or error}") from error

    def tables(self) -> list[Table]:
        return [
            Table(name=name, columns=tuple(columns), key=tuple(key), parents=tuple(parents))
            for name, columns, key, parents in self._db.execute(TABLES)
        ]

    def users(self) -> list[str]:
        if not self._value(SQL("SELECT to_regclass('hosts') IS NOT NULL")):
            return []
        sql = "SELECT name FROM hosts WHERE lease_until > clock_timestamp() ORDER BY name"
        return [name for (name,) in self._db.execute(sql)]

    def count(self, table: str) -> int:
        return int(self._value(SQL("SELECT count(*) FROM {}").format(Identifier(table))))

    def _value(self, sql: SQL | Composed) -> Any:
        row = self._db.execute(sql).fetchone()
        return row[0] if row else None

    def rows(self, table: Table) -> Iterator[Values]:
        sql = SQL("SELECT {} FROM {} ORDER BY {}").format(
            _names(table.columns), Identifier(table.name), _names(table.key)
        )
        with self._db.cursor(name="moving") as cursor:
            cursor.itersize = AT_ONCE
            yield from cursor.execute(sql)

    @contextmanager
    def filling(self, tables: list[Table]) -> Iterator[None]:
        for table in reversed(tables):
            name = Identifier(table.name)
            self._db.execute(SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
            self._db.execute(SQL("DELETE FROM {}").format(name))
        yield
        for table in tables:
            self._db.execute(SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(Identifier(table.name)))
        for name, column, sequence in self._db.execute(SEQUENCES).fetchall():
            largest = self._value(SQL("SELECT max({}) FROM {}").format(Identifier(column), Identifier(name)))
            self._db.execute("SELECT setval(%s::regclass, %s, %s)", [sequence, largest or 1, bool(largest)])

    def fill(self, table: Table, rows: Iterable[Values]) -> None:
        sql = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table.name), _names(table.columns))
        with self._db.cursor() as cursor, cursor.copy(sql) as copy:
            for row in rows:
                copy.write_row(row)


def _names(columns: tuple[str, ...]) -> Composed:
    return SQL(", ").join(map(Identifier, columns))
