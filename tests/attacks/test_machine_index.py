"""An index that is damaged, emptied, replaced or newer: row M16 of the attacks."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fetcher.cli.exits import Exit
from fetcher.errors import StoreFailed
from fetcher.index import Index
from fetcher.index.sqlite import connection, soundness
from fetcher.index.sqlite.soundness import find_damage
from tests.attacks.test_machine_leftovers import store
from tests.attacks.test_machine_ready import reasons
from tests.images import raw
from tests.index.conftest import make
from tests.lab import Origin, behaviours
from tests.service import Running

PAGE = 4096


async def fill(path: Path) -> None:
    """Make an index of some size, with nothing left in its log."""
    async with Index(path) as index:
        for number in range(150):
            await index.imports.submit(make(number=number), max_queued=1000)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")


def overwrite(begin: int, piece: bytes, *, whence: int = 0) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(begin, whence)
            file.write(piece)

    return damage


def statement(*statements: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA foreign_keys = OFF")
            for sql in statements:
                db.execute(sql)

    return damage


def cut(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(int(size * share) // PAGE * PAGE)

    return damage


def replaced(piece: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(piece)

    return damage


def by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def by_another_database(path: Path) -> None:
    path.unlink()
    statement("CREATE TABLE bookmarks (url TEXT)")(path)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no header": overwrite(0, b"\0" * 100),
    "first page of zeros": overwrite(0, b"\0" * PAGE),
    "schema page of noise": overwrite(200, random.Random(1).randbytes(PAGE - 200)),
    "pages of noise": overwrite(PAGE * 3, random.Random(2).randbytes(PAGE * 40)),
    "pages of zeros": overwrite(PAGE * 3, b"\0" * PAGE * 40),
    "last page of noise": overwrite(-PAGE, random.Random(3).randbytes(PAGE), whence=2),
    "cut in half": cut(0.5),
    "cut by a page or two": cut(0.98),
    "cut to one page": lambda path: cut(PAGE / path.stat().st_size + 0.001)(path),
    "text": replaced(b"This file was moved to another place.\n" * 200),
    "a folder": by_a_folder,
    "another database": by_another_database,
    "a table dropped": statement("DROP TABLE provenance"),
    "a trigger dropped": statement("DROP TRIGGER usage_of_new_images"),
    "an index dropped": statement("DROP INDEX images_by_blob"),
    "a column dropped": statement("ALTER TABLE audit DROP COLUMN code"),
    "a later version": statement(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('glance-fetcher', 'm9999_later', '2030-01-01')"
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
async def test_m16_a_damaged_index_starts_nothing(name: str, tmp_path: Path) -> None:
    """Each kind of damage ends the start with a sentence, and leaves the file as it was found."""
    path = tmp_path / "index.sqlite"
    await fill(path)
    DAMAGE[name](path)
    before = None if path.is_dir() else path.read_bytes()
    index = Index(path)
    try:
        with pytest.raises(StoreFailed) as refusal:
            await index.connection.open()
    finally:
        await index.connection.close()
    assert "index" in str(refusal.value)
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("name", [name for name in DAMAGE if name != "a folder"])
async def test_m16_check_says_that_the_index_is_damaged(name: str, tmp_path: Path) -> None:
    """`store check` finds it without a server, and ends in the code for damage."""
    service = Running(tmp_path)
    service.write_config()
    service.data.mkdir()
    await fill(service.data / "index.sqlite")
    for folder in ("staging", "blobs"):
        (service.data / folder).mkdir()
    DAMAGE[name](service.data / "index.sqlite")
    checked = await store(service, "check", "--quick", "--json")
    assert checked.code == Exit.DAMAGED, checked
    assert "index-damaged" in {finding["kind"] for finding in checked.json["findings"]}


@pytest.mark.parametrize("how", ["emptied file", "no file", "emptied tables"])
async def test_m16_an_empty_index_beside_blobs_is_said(how: str, tmp_path: Path) -> None:
    """The service starts, for that may be meant, and says how many files nobody knows."""
    async with Origin({"/x": behaviours.serve(raw(10_000))}) as origin:
        async with Running(tmp_path, origin) as service:
            await service.run(url=origin.url("/x"))
            assert "warnings" not in await service.get("/readyz")
        path = service.data / "index.sqlite"
        if how == "emptied tables":
            statement("DELETE FROM images", "DELETE FROM blobs", "DELETE FROM loose_files")(path)
        else:
            path.write_bytes(b"")
        if how == "no file":
            path.unlink()
        async with Running(tmp_path, origin) as service:
            ready = await service.get("/readyz")
            assert ready["warnings"] == ["the index is empty, but 1 files are in blobs/"]
            assert len(service.traces()) == 1


async def test_m16_a_start_looks_for_a_moment_and_upkeep_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file too large to be seen whole at a start is seen whole later; damage is a reason."""
    async with Running(tmp_path) as service:
        for number in range(300):
            new = make(number=number)
            await service.service.app.state.services.index.imports.submit(new, max_queued=1000)
    path = service.data / "index.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        assert find_damage(connection.Database(db), -1.0) is None
        root = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'image_properties_by_value'"
        ).fetchone()
    overwrite((root[0] - 1) * PAGE, b"\xff" * PAGE)(path)
    monkeypatch.setattr(soundness, "CHECK_SECONDS", -1.0)
    async with Running(tmp_path, imports={"max_running": 1}) as service:
        services = service.service.app.state.services
        assert not services.index.maintenance.is_checked
        await services.maintenance.check_index()
        assert "the index is damaged" in (await service.call("GET", "/readyz"))[1]["reasons"]


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
async def test_m22_files_that_go_under_a_running_service(ending: str, tmp_path: Path) -> None:
    """No image is acknowledged that a later start would not find; `/readyz` says so until they are back."""
    wanted = {"disk_format": "raw", "container_format": "bare"}
    async with Running(tmp_path) as service:
        status, before, _headers = await service.call("POST", "/v2/images", json=wanted)
        assert status == 201
        path = service.data / f"index.sqlite{ending}"
        path.rename(tmp_path / "aside")
        path.write_bytes((tmp_path / "aside").read_bytes())
        for _ in range(2):  # The first may have happened; those behind it are not begun.
            status, document, _headers = await service.call("POST", "/v2/images", json=wanted)
            assert (status, document["error"]["type"]) == (503, "store-failed")
        assert "the index cannot be written" in await reasons(service)
        (tmp_path / "aside").rename(path)
        status, after, _headers = await service.call("POST", "/v2/images", json=wanted)
        assert status == 201
        assert await reasons(service) == []
    async with Running(tmp_path) as service:
        found = {image["id"] for image in (await service.get("/v2/images"))["images"]}
        assert {before["id"], after["id"]} <= found
        assert len(found) <= 3
