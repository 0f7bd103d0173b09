"""Each test of the contract is held against every index that there is."""

from collections.abc import AsyncIterator, Iterator

import pytest

from fetcher.index.protocol import Index
from tests.contract.index.places import Place, Places, SqlitePlaces


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """A maker of places for the records of one kind of index."""
    if request.param == "sqlite":
        return SqlitePlaces(tmp_path_factory.mktemp("sqlite"))
    databases: Places = request.getfixturevalue("databases")
    return databases


@pytest.fixture
def place(places: Places) -> Iterator[Place]:
    """An empty place."""
    made = places.new()
    yield made
    places.drop(made)


@pytest.fixture
async def index(place: Place) -> AsyncIterator[Index]:
    """An index without any records."""
    async with place.open() as opened:
        yield opened


@pytest.fixture
async def other(place: Place, index: Index) -> AsyncIterator[Index]:
    """The same records, as another process has them."""
    async with place.open() as opened:
        yield opened
