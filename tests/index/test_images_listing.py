"""Lists of images in SQLite: along indexes at any size, and along filters that few rows meet."""

import re
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlite_utils.db import Database

from fetcher.index import Index
from fetcher.index.rows import to_text
from fetcher.index.sqlite.image_records.images import load_images
from fetcher.index.sqlite.image_records.listing import statement
from fetcher.index.values import SORT_KEYS, Filter, ImageQuery
from fetcher.model import Actor
from tests.contract.index import test_lists_of_images as lists
from tests.index.conftest import ADMIN, START

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shelf(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An index with some images, the images, and how bob answered to those shared with him."""
    async with Index(tmp_path_factory.mktemp("shelf") / "index.sqlite") as index:
        yield await lists.fill(index)


@pytest.mark.parametrize("names", lists.NAMES)
async def test_filters_hold_along_the_order(
    shelf: Any, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that is met on the way leaves the same images as one that is looked up, in the same order."""
    monkeypatch.setattr("fetcher.index.sqlite.image_records.listing.FEW", 0)
    await lists.check_filters(shelf, names)


COUNT = 12_000


def fill(db: Database) -> None:
    """Many images of one project among fifty, written as they are."""
    now = [to_text(START + timedelta(seconds=number)) for number in range(COUNT)]
    rows = [
        {
            "id": f"{number:036}",
            "project_id": f"p{number % 50}",
            "name": f"n{number % 5000}",
            "status": "queued" if number % 1000 == 0 else "active",
            "visibility": "public" if number % 20 == 0 else "private",
            "disk_format": "raw",
            "container_format": "bare",
            "size": number,
            "min_disk": 0,
            "created_at": moment,
            "updated_at": moment,
        }
        for number, moment in enumerate(now)
    ]
    db.table("images").insert_all(rows)
    db.table("image_tags").insert_all({"image_id": row["id"], "tag": "t"} for row in rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hall(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An index with many images."""
    async with Index(tmp_path_factory.mktemp("hall") / "index.sqlite") as index:
        await index.connection.write(fill)
        yield index


async def plan(index: Index, actor: Actor, query: ImageQuery) -> str:
    def explain(db: Database) -> str:
        sql, arguments = statement(db, query, actor)
        return "\n".join(row["detail"] for row in db.query(f"EXPLAIN QUERY PLAN {sql}", arguments))

    return str(await index.connection.read(explain))


ONE = Actor(project_id="p1", user_id="u")
MIDDLE = {ADMIN: f"{COUNT // 2:036}", ONE: f"{COUNT // 2 + 1:036}"}
INDEXED = [(ADMIN, key) for key in SORT_KEYS]
INDEXED += [(ONE, key) for key in ("created_at", "name", "size", "updated_at")]


def inner(said: str) -> list[str]:
    """How each part of a page is found, before the page is put in order and read."""
    found = re.findall(r"CO-ROUTINE \(subquery-\d+\)\n(.*?)\nSCAN \(subquery", said, re.DOTALL)
    assert found, said
    return found


@pytest.mark.parametrize("is_first", [True, False], ids=["first page", "later page"])
@pytest.mark.parametrize("down", [False, True], ids=["rising", "falling"])
@pytest.mark.parametrize(("actor", "key"), INDEXED, ids=lambda value: getattr(value, "project_id", value))
async def test_the_order_comes_out_of_an_index(
    hall: Index, actor: Actor, key: str, down: bool, is_first: bool
) -> None:
    """No page sorts rows that it does not show, and a later one begins where the last one ended."""
    marker = None if is_first else MIDDLE[actor]
    query = ImageQuery(sort=((key, down),), limit=100, marker=marker)
    for part in inner(await plan(hall, actor, query)):
        if part.startswith("SEARCH image_members") and key != "created_at":
            continue  # What is shared with one project is little, and sorted.
        assert "TEMP B-TREE" not in part
        if is_first and actor is ADMIN:
            assert part.startswith("SCAN images USING INDEX")
        else:
            assert part.startswith("SEARCH image")
        if not is_first:
            assert re.search(r"[<>]", part), part


MANY = {
    "status": (Filter(key="os_hidden", values=(0,)), Filter(key="status", values=("active",))),
    "tag": (Filter(key="os_hidden", values=(0,)), Filter(key="tag", values=("t",))),
}
FEW = {
    "status": Filter(key="status", values=("queued",)),
    "name": Filter(key="name", values=("n7",)),
    "size": Filter(key="size", operator="gte", values=(COUNT - 10,)),
    "created_at": Filter(
        key="created_at", operator="gte", values=(to_text(START + timedelta(days=1)) or "",)
    ),
    "id": Filter(key="id", operator="in", values=(MIDDLE[ADMIN],)),
}


@pytest.mark.parametrize("actor", [ADMIN, ONE], ids=lambda actor: actor.project_id)
@pytest.mark.parametrize("name", MANY)
async def test_a_filter_that_many_meet_is_met_on_the_way(hall: Index, name: str, actor: Actor) -> None:
    """A page is full after a few rows; looking them all up first would cost every row."""
    for part in inner(await plan(hall, actor, ImageQuery(filters=MANY[name], limit=100))):
        assert "TEMP B-TREE" not in part
        assert "images_by_status" not in part


@pytest.mark.parametrize("name", FEW)
async def test_a_filter_that_few_meet_is_looked_up(hall: Index, name: str) -> None:
    """Walking along the order would read every row to find them."""
    query = ImageQuery(filters=(Filter(key="os_hidden", values=(0,)), FEW[name]), limit=100)
    said = await plan(hall, ADMIN, query)
    assert "SCAN few" in said
    assert "SCAN images" not in said, said


async def test_a_page_costs_a_fixed_number_of_queries(hall: Index) -> None:
    """Tags and properties of a hundred images come in one query each."""

    def counted(db: Database, limit: int) -> int:
        seen: list[str] = []
        sql, arguments = statement(db, ImageQuery(limit=limit), ADMIN)
        db.conn.set_trace_callback(lambda line: seen.append(line) if line.startswith("SELECT") else None)
        try:
            assert len(load_images(db, list(db.query(sql, arguments)))) == limit
        finally:
            db.conn.set_trace_callback(None)
        return len(seen)

    assert await hall.connection.read(counted, 100) == await hall.connection.read(counted, 3)
