"""The state machine of `tests/test_machine.py` with the records in PostgreSQL."""

import hashlib
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from fetcher.errors import StoreFailed
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.test_machine import StoreMachine


class PostgresMachine(StoreMachine):
    """Each run has a database of its own; a crash leaves its connections to the server."""

    databases: ClassVar[PostgresPlaces]
    database: PostgresPlace

    def sections(self) -> dict[str, dict[str, Any]]:
        """Put the records into a new database; a machine that is busy costs no lease."""
        self.database = self.databases.new()
        return {"index": {"url": self.database.as_url}, "imports": {"lease_seconds": 3600.0}}

    def cut_index(self) -> None:
        """Have the database out of reach from here on."""
        self.services.index.connection._transact = refuse

    def judge_rows(self) -> None:
        """Every row has its file, every file its row, and the bytes are those of the name."""
        with psycopg.connect(self.database.url) as connection:
            rows = {name for (name,) in connection.execute("SELECT sha256 FROM blobs")}
            used = {
                name for (name,) in connection.execute("SELECT sha256 FROM images WHERE sha256 IS NOT NULL")
            }
        files = {path.name: path for path in (self.folder / "data" / "blobs").rglob("*") if path.is_file()}
        assert rows == used == set(files)
        for name, path in files.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == name
        assert [*(self.folder / "data" / "staging").iterdir()] == []


async def refuse(_work: Any, **_how: Any) -> Any:
    """Stand in for a database that is gone."""
    raise StoreFailed(reason="the power is gone")


@pytest.fixture(scope="module", autouse=True)
def given_databases(databases: PostgresPlaces) -> None:
    """Give the machine its server."""
    PostgresMachine.databases = databases


TestPostgresMachine = PostgresMachine.TestCase
TestPostgresMachine.settings = settings(
    max_examples=4, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
