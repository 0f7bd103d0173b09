"""What the writer counts by triggers of its own connection is what the rows say."""

import random
from pathlib import Path

import msgspec
import pytest
from sqlite_utils.db import Database

from fetcher.errors import Failure, QueueFull, QuotaExceeded
from fetcher.index import Index
from fetcher.index.sqlite.imports.queue_count import queued
from fetcher.index.values import NewImport, Quota
from fetcher.lifecycle import State
from fetcher.model import Verdict
from tests.index.conftest import ALICE, BOB, START, blob, make

VERDICT = Verdict(code="cancelled", title="It was cancelled.")
STEPS = 120
MAX_QUEUED, MAX_UPLOADING = 12, 9


def limited(path: Path) -> Index:
    quota = Quota(1000, 1 << 30, max_uploading=MAX_UPLOADING)
    return Index(path / "index.sqlite", quota_of=lambda _project: quota)


def counted(db: Database) -> tuple[int, dict[str, int]]:
    """What the triggers say: imports that wait, images that are written by project."""
    busy = db.execute("SELECT project_id, images FROM temp.busy WHERE images <> 0").fetchall()
    return queued(db), dict(busy)


def rows(db: Database) -> tuple[int, dict[str, int]]:
    """The same by the rows."""
    sql = "SELECT count(*) FROM imports WHERE ended_at IS NULL AND state = 'queued'"
    (waiting,) = db.execute(sql).fetchone()
    sql = """SELECT project_id, count(*) FROM images WHERE status IN ('importing', 'saving', 'uploading')
             GROUP BY project_id"""
    return waiting, dict(db.execute(sql).fetchall())


async def step(index: Index, chance: random.Random, made: list[NewImport]) -> None:
    """Do one of the things that change a count; refusals are part of it."""
    kind = chance.choice(("submit", "submit", "submit", "claim", "cancel", "requeue", "activate", "delete"))
    if kind == "submit":
        new = make(chance.choice((ALICE, BOB)), number=len(made))
        await index.imports.submit(new, max_queued=MAX_QUEUED)
        made.append(new)
        return
    if not made:
        return
    new = chance.choice(made)
    record = new.record
    actor = ALICE if record.project_id == ALICE.project_id else BOB
    if kind == "claim":
        await index.imports.claim(record.id, START)
    elif kind == "cancel":
        await index.imports.cancel(record.id, actor, VERDICT, START)
    elif kind == "requeue":
        await index.imports.requeue(record.id, START)
    elif kind == "delete":
        await index.images.delete(record.image_id, actor)
    elif (claimed := await index.imports.claim(record.id, START)) is not None:
        done = msgspec.structs.replace(claimed[0], state=State.SUCCEEDED, ended_at=START)
        await index.imports.activate(done, blob(), new.image, {})


@pytest.mark.parametrize("seed", range(4))
async def test_counts_agree_with_the_rows(tmp_path: Path, seed: int) -> None:
    """After each of many random steps, refused ones among them, and after a restart, both say the same."""
    chance = random.Random(seed)
    made: list[NewImport] = []
    refused: set[type[Failure]] = set()
    async with limited(tmp_path) as index:
        for _ in range(STEPS):
            try:
                await step(index, chance, made)
            except Failure as failure:
                refused.add(type(failure))
            assert await index.connection.write(counted) == await index.connection.write(rows)
        before = await index.connection.write(rows)
    assert refused & {QueueFull, QuotaExceeded}
    async with limited(tmp_path) as index:
        assert await index.connection.write(counted) == before


async def test_a_count_that_began_in_a_write_that_was_taken_back_begins_again(tmp_path: Path) -> None:
    """The first submission after a start is refused: the next one counts right all the same."""
    async with limited(tmp_path) as index:
        with pytest.raises(QueueFull):
            await index.imports.submit(make(), max_queued=0)
        await index.imports.submit(make(), max_queued=1)
        with pytest.raises(QueueFull):
            await index.imports.submit(make(), max_queued=1)


async def test_no_page_of_the_index_goes_into_a_temporary_file(tmp_path: Path) -> None:
    """A write that changes more pages than SQLite keeps aside opens no file, so that none holds a secret."""

    def change_much(db: Database) -> list[str]:
        db.execute("UPDATE images SET name = hex(randomblob(1000))")
        opened = [path.readlink().name for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return [name for name in opened if name.startswith("etilqs_")]

    async with Index(tmp_path / "index.sqlite") as index:
        for number in range(300):
            await index.imports.submit(make(number=number), max_queued=1000)
        for _ in range(2):
            assert await index.connection.write(change_much) == []
