"""One service for all tests of a file, where they do not need a configuration of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.image_v2.cloud import Cloud


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    """A running service with two projects; `local` mode is tested elsewhere."""
    folder: Path = tmp_path_factory.mktemp("cloud")
    async with Cloud(folder) as running:
        yield running
