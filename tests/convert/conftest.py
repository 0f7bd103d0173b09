"""What the tests of conversions share."""

import asyncio
import shutil

import pytest

from fetcher.convert.sandbox import Walls, probe_walls

NEEDED = {"qemu-img": "qemu-utils", "qemu-system-x86_64": "qemu-system-x86"}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a program that is not installed."""
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed (package {NEEDED[program]})")


@pytest.fixture(scope="session")
def walls() -> Walls:
    """The walls of this machine."""
    found = asyncio.run(probe_walls())
    if not found.is_standing:
        pytest.skip("no sandbox works on this machine")
    return found
