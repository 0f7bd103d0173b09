"""Databases for whole services."""

from collections.abc import Iterator

import pytest

from tests.contract.index.postgres import PostgresPlace, PostgresPlaces


@pytest.fixture
def database(databases: PostgresPlaces) -> Iterator[PostgresPlace]:
    """An empty database."""
    made = databases.empty()
    yield made
    databases.drop(made)
