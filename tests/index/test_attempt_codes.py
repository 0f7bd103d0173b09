"""Lists of imports by how an attempt ended, in SQLite: cheap where nothing is found."""

from pathlib import Path

import msgspec
import pytest
from sqlite_utils.db import Database

from fetcher.index import Index
from fetcher.index.import_rows import filters_for
from fetcher.index.scope import own_imports
from fetcher.index.sqlite.imports.reading import page
from fetcher.model import Actor, Attempt
from tests.index.conftest import ADMIN, ALICE, START, make

IMPORTS, ATTEMPTS = 10, 50
TRUTH = {"code": "connect-failed", "message": "10.0.0.1"}


async def steps(index: Index, actor: Actor, code: str) -> tuple[int, int]:
    """Return how many imports are found, and how many of SQLite's instructions each takes."""

    def read(db: Database) -> tuple[int, int]:
        count = 0

        def note() -> int:
            nonlocal count
            count += 1
            return 0

        db.conn.set_progress_handler(note, 1)
        try:
            found = page(
                db, own_imports(actor), filters_for(actor, {"attempt_code": code}), (25, 1 << 20), None
            )
        finally:
            db.conn.set_progress_handler(None, 0)
        return len(found), count // IMPORTS

    return await index.connection.write(read)


@pytest.mark.parametrize(
    ("actor", "code", "is_there"),
    [
        (ALICE, "nowhere", False),
        (ALICE, "code", False),
        (ALICE, "connect-failed", False),
        (ALICE, "source-unreachable", True),
        (ADMIN, "nowhere", False),
        (ADMIN, "connect-failed", True),
    ],
)
async def test_what_no_attempt_has_is_found_out_by_its_text(
    tmp_path: Path, actor: Actor, code: str, is_there: bool
) -> None:
    """The documents of attempts, which are long, are taken apart only where the code is among them."""
    attempt = Attempt(number=1, started_at=START, code="source-unreachable", truth=TRUTH)
    async with Index(tmp_path / "index.sqlite") as index:
        for number in range(IMPORTS):
            new = make(number=number)
            await index.imports.submit(new, max_queued=IMPORTS)
            taken = await index.imports.claim(new.record.id, START)
            assert taken is not None
            assert await index.imports.record(
                msgspec.structs.replace(taken[0], attempts=(attempt,) * ATTEMPTS)
            )
        found, cost = await steps(index, actor, code)
        assert found == (IMPORTS if is_there else 0)
        assert is_there or cost < ATTEMPTS, "a step for each attempt"
