"""Fixed costs of every test with an index or a service, made cheap in this process.

Processes that a test starts are left as they are: they apply the migrations, and stop at uvicorn's own pace.
"""

import asyncio
import sqlite3
from functools import cache
from types import ModuleType
from typing import Any

import uvicorn.server
from sqlite_utils.db import Database

from fetcher.index.sqlite import index, schema

FASTER = 20


def cut_fixed_costs() -> None:
    """Have new indexes be copies, and uvicorn find out soon that it is to stop."""
    index.migrate = migrate
    vars(uvicorn.server)["asyncio"] = _Hurried("asyncio")


@cache
def _migrated() -> sqlite3.Connection:
    """An index to which every migration has been applied, once in this process."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    schema.migrate(Database(connection, execute_plugins=False))
    return connection


def migrate(db: Database) -> None:
    """Fill an empty file with the tables of today; any other goes through what it lacks, as in production."""
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        db.execute("PRAGMA synchronous = OFF")
        _migrated().backup(db.conn)
        db.execute("PRAGMA synchronous = FULL")
    schema.migrate(db)


class _Hurried(ModuleType):
    """`asyncio` for uvicorn's server, which looks every 0.1 s whether it is to stop, then waits as long."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / FASTER)
