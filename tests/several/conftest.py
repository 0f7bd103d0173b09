"""Databases for whole services."""

from collections.abc import Iterator

import pytest

from tests.contract.index import postgres
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces


@pytest.fixture(scope="session")
def databases() -> Iterator[PostgresPlaces]:
    """A maker of databases of a PostgreSQL server."""
    with postgres.server() as server:
        yield PostgresPlaces(server)


@pytest.fixture
def database(databases: PostgresPlaces) -> PostgresPlace:
    """An empty database."""
    return databases.new()
