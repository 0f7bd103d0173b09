"""Quotas in SQLite: a trigger notes which projects grew in a write, however many rows it has."""

from pathlib import Path

import pytest
from sqlite_utils.db import Database

from fetcher.errors import QuotaExceeded
from fetcher.index import Index
from fetcher.index.sqlite.image_records.images import insert_image
from fetcher.index.values import Quota
from tests.index.conftest import make


async def test_a_write_that_grows_twice_is_judged_by_what_was_before(tmp_path: Path) -> None:
    """A verb may write several images; the quota is asked once, about all of them."""

    def two(db: Database) -> None:
        for _ in range(2):
            insert_image(db, make().image)

    async with Index(tmp_path / "index.sqlite", quota_of=lambda _project: Quota(3, 1000)) as index:
        await index.connection.write(two)
        with pytest.raises(QuotaExceeded) as caught:
            await index.connection.write(two)
        assert caught.value.used == 2
        assert (await index.usage.find("alice")).images == 2
