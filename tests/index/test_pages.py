"""Pages that writes of an import change: each goes to the log, and to the disk with its commit."""

import struct
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlite_utils.db import Database

from fetcher.index import Index
from fetcher.index.sqlite import connection
from fetcher.lifecycle import State
from tests.index.conftest import ALICE, START, blob, make

FRAME, LOG_HEADER = 24, 32
GIVEN = {"name": "disk", "disk_format": "raw", "container_format": "bare"}


@pytest.fixture
async def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "QUIET_SECONDS", 3600.0)  # The log is read here before it is emptied.
    async with Index(tmp_path / "index.sqlite") as opened:
        await opened.connection.write(lambda db: list(db.execute("PRAGMA wal_autocheckpoint = 0")))
        yield opened


def roots(db: Database) -> dict[int, str]:
    """Which table or index each page is the first of; of a small index it is the only one."""
    return dict(db.execute("SELECT rootpage, name FROM sqlite_master WHERE rootpage > 0").fetchall())


async def written(index: Index, folder: Path, work: Awaitable[Any]) -> list[str]:
    """Return the tables and indexes whose pages one write changed, by what is new in the log."""
    log = folder / "index.sqlite-wal"
    before = log.stat().st_size
    await work
    names = await index.connection.read(roots)
    (size,) = await index.connection.read(lambda db: db.execute("PRAGMA page_size").fetchone())
    new = log.read_bytes()[max(before, LOG_HEADER) :]
    pages = {struct.unpack_from(">I", new, at)[0] for at in range(0, len(new), FRAME + size)}
    return sorted(names[page] for page in pages if page in names)


async def test_an_import_that_goes_on_changes_no_index(index: Index, tmp_path: Path) -> None:
    """The progress of a running import is in its row alone, however many indexes the table has."""
    new = make(ALICE)
    await index.imports.submit(new, max_queued=9)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    record = msgspec.structs.replace(taken.record, received_bytes=5, updated_at=START + timedelta(seconds=1))
    assert await written(index, tmp_path, index.imports.announce(record)) == ["imports", "usage"]


async def test_bytes_change_no_index_of_what_a_submission_said(index: Index, tmp_path: Path) -> None:
    """An image that has its name and formats keeps its places in the lists by them."""
    new = make(ALICE)
    new = msgspec.structs.replace(new, image=msgspec.structs.replace(new.image, **GIVEN))
    _, claimed = await index.imports.begin(new, max_queued=9, now=START)
    assert claimed is not None
    done = msgspec.structs.replace(claimed.record, state=State.SUCCEEDED, ended_at=START)
    work = index.imports.activate(done, blob(), new.image, {"story": "told"})
    changed = await written(index, tmp_path, work)
    assert {"images", "images_by_size", "images_by_status", "images_by_blob"} <= set(changed)
    by_words = {name for name in changed if name.endswith(("name", "disk_format", "container_format"))}
    assert by_words == set()


async def test_bytes_give_what_a_submission_left_open(index: Index) -> None:
    """An image without a name and formats takes those that came with its bytes, and its text is counted."""
    new = make(ALICE)
    _, claimed = await index.imports.begin(new, max_queued=9, now=START)
    assert claimed is not None
    done = msgspec.structs.replace(claimed.record, state=State.SUCCEEDED, ended_at=START)
    found = msgspec.structs.replace(new.image, **GIVEN)
    assert await index.imports.activate(done, blob(), found, {"story": "told"})
    image = await index.images.find(new.image.id, ALICE)
    assert {name: getattr(image, name) for name in GIVEN} == GIVEN
    (text,) = await index.connection.read(lambda db: db.execute("SELECT text_bytes FROM images").fetchone())
    assert text == len("disk") + len("t") + len("p") + len("v")


async def test_a_submission_has_no_place_among_images_with_bytes(index: Index, tmp_path: Path) -> None:
    """No page changes of the index by which images are found by their bytes."""
    changed = await written(index, tmp_path, index.imports.submit(make(ALICE), max_queued=9))
    assert "images_by_age" in changed
    assert "images_by_blob" not in changed


async def test_who_signs_reads_what_waits_alone(index: Index) -> None:
    """Images without a statement are found by the index of these, and not among all that have bytes."""
    seen: list[str] = []

    def watch(db: Database) -> None:
        db.conn.set_trace_callback(seen.append)

    while not (asked := [line for line in seen if "attestations.envelope IS NULL" in line]):
        await index.connection.read(watch)  # By either reader: sooner or later one that is watched answers.
        await index.attestations.unsigned()

    def plan(db: Database) -> list[str]:
        return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]

    assert "attestations_to_sign" in (await index.connection.read(plan))[0]
