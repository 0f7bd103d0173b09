"""What a start writes in the index."""

from pathlib import Path

import sqlite_utils

from fetcher.errors import Interrupted
from fetcher.importer.records.verdicts import verdict_of
from fetcher.index import Index
from fetcher.index.values import ImageQuery
from fetcher.lifecycle import Event
from tests.index.conftest import ALICE, START, make

COUNT = 50


async def test_images_of_many_ended_imports_go_in_one_statement(tmp_path: Path) -> None:
    """Within a savepoint a statement for each would cost several times as much."""
    async with Index(tmp_path / "index.sqlite") as index:
        made = [make(number=number) for number in range(COUNT)]
        for new in made:
            await index.imports.submit(new, max_queued=COUNT)
        seen: list[str] = []

        def listen(db: sqlite_utils.Database) -> None:
            db.conn.set_trace_callback(seen.append)

        await index.connection.write(listen)
        ends = [new.record.ended(Event.CANCEL, verdict_of(Interrupted()), START) for new in made]
        await index.recovery.take_up(ends, START)
        # A statement is told once more for each row that its triggers see.
        assert len({line for line in seen if line.startswith("DELETE FROM images")}) == 1
        assert not (await index.recovery.left_behind()).waiting
        assert not await index.images.page(ALICE, ImageQuery(limit=10))
