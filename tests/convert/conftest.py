"""What the tests of conversions share."""

import asyncio

import pytest

from fetcher.convert.sandbox import Walls, probe_walls


@pytest.fixture(scope="session")
def walls() -> Walls:
    """The walls of this machine."""
    found = asyncio.run(probe_walls())
    if not found.is_standing:
        pytest.skip("no sandbox works on this machine")
    return found
