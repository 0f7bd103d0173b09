"""Lists of images: what Python would say, said by SQL, and along indexes at any size."""

import itertools
import random
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from sqlite_utils.db import Database

from fetcher.errors import InvalidRequest
from fetcher.index import Index
from fetcher.index.sqlite.images import load_images
from fetcher.index.sqlite.listing import statement
from fetcher.index.sqlite.rows import to_text
from fetcher.index.values import SORT_KEYS, Filter, ImageQuery
from fetcher.model import Actor, Image, Member, Status
from tests.index.conftest import ADMIN, ALICE, BOB, START, image

pytestmark = pytest.mark.asyncio(loop_scope="module")
VISIBILITIES = ("private", "shared", "community", "public")
MEMBER_STATUSES = ("accepted", "pending", "rejected")


def some_images(count: int) -> list[Image]:
    """Images that differ in everything, with ties and gaps in everything."""
    dice = random.Random(7)
    return [
        image(
            actor=dice.choice([ALICE, BOB]),
            number=number // 3,
            name=dice.choice([None, "", "a", "b", "B", "ä"]),
            visibility=dice.choice(VISIBILITIES),
            status=dice.choice([Status.QUEUED, Status.ACTIVE]),
            disk_format=dice.choice([None, "raw", "qcow2"]),
            container_format=dice.choice([None, "bare", "ova"]),
            size=dice.choice([None, 0, 5, 10**12]),
            min_ram=dice.randrange(3),
            is_hidden=dice.random() < 0.2,
            tags=tuple(sorted(set(dice.choices("xyz", k=2)))),
            properties={"os": dice.choice("lw")},
            updated_at=START + timedelta(seconds=dice.randrange(50)),
        )
        for number in range(count)
    ]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shelf(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An index with some images, the images, and how bob answered to those shared with him."""
    path: Path = tmp_path_factory.mktemp("shelf") / "index.sqlite"
    images = some_images(150)
    answers: dict[str, str] = {}
    async with Index(path) as index:
        for number, one in enumerate(images):
            await index.images.create(one)
            if one.visibility == "shared" and one.project_id == "alice":
                status = MEMBER_STATUSES[number % 3]
                member = Member(
                    image_id=one.id, member_id="bob", status="pending", created_at=START, updated_at=START
                )
                await index.members.add(member, ALICE, max_members=9)
                await index.members.answer(msgspec.structs.replace(member, status=status), BOB)
                answers[one.id] = status
        yield index, images, answers


SORT_VALUE: dict[str, Callable[[Image], Any]] = {
    "created_at": lambda one: one.created_at,
    "updated_at": lambda one: one.updated_at,
    "id": lambda one: one.id,
    "name": lambda one: (one.name or "").encode(),
    "status": lambda one: one.status.value,
    "disk_format": lambda one: one.disk_format or "",
    "container_format": lambda one: one.container_format or "",
    "size": lambda one: -1 if one.size is None else one.size,
}


async def read_all(index: Index, actor: Actor, query: ImageQuery) -> list[Image]:
    found: list[Image] = []
    marker = None
    while page := await index.images.page(actor, msgspec.structs.replace(query, marker=marker)):
        assert len(page) <= query.limit
        found += page
        marker = page[-1].id
    return found


ORDERS = [((key, down),) for key in SORT_KEYS for down in (False, True)]
ORDERS += [
    (("status", False), ("size", True)),
    (("name", True), ("id", False)),
    (("size", False), ("name", False)),
]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("actor", [ALICE, BOB, ADMIN], ids=lambda actor: actor.project_id)
async def test_pages_hold_each_image_once_and_in_order(shelf: Any, order: Any, actor: Actor) -> None:
    """Whatever the order, with ties and nulls in it, and whatever the page size."""
    index, images, _opener = shelf
    found = await read_all(index, actor, ImageQuery(sort=order, limit=7, visibility="all"))
    at_once = await index.images.page(actor, ImageQuery(sort=order, limit=1000, visibility="all"))
    assert [one.id for one in found] == [one.id for one in at_once]
    assert len({one.id for one in found}) == len(found)
    for before, after in itertools.pairwise(found):
        for key, down in order:
            left, right = SORT_VALUE[key](before), SORT_VALUE[key](after)
            if left != right:
                assert (left > right) is down
                break
    by_id = {one.id: one for one in images}
    assert all(one == by_id[one.id] for one in found)
    if actor is ADMIN:
        assert len(found) == len(images)


def is_listed(one: Image, actor: Actor, query: ImageQuery, answers: dict[str, str]) -> bool:
    """What `scope` decides in SQL, said once more in Python."""
    own = one.project_id == actor.project_id or actor.is_admin
    if query.owner is not None and one.project_id != query.owner:
        return False
    if query.visibility is None and query.owner is None and one.visibility == "community":
        return False
    if query.visibility not in {None, "all", one.visibility}:
        return False
    if own or one.visibility in {"public", "community"}:
        return True
    status = answers.get(one.id) if actor.project_id == "bob" else None
    return one.visibility == "shared" and status is not None and query.member_status in {status, "all"}


@pytest.mark.parametrize("visibility", [None, "all", *VISIBILITIES])
@pytest.mark.parametrize("member_status", ["all", *MEMBER_STATUSES])
@pytest.mark.parametrize("actor", [ALICE, BOB, ADMIN], ids=lambda actor: actor.project_id)
async def test_lists_hold_what_the_caller_sees(
    shelf: Any, visibility: str | None, member_status: str, actor: Actor
) -> None:
    """Every combination of caller, visibility, owner and answer."""
    index, images, answers = shelf
    for owner in (None, "alice", "bob", "nobody"):
        query = ImageQuery(visibility=visibility, member_status=member_status, owner=owner, limit=1000)
        found = {one.id for one in await index.images.page(actor, query)}
        assert found == {one.id for one in images if is_listed(one, actor, query, answers)}, owner


FILTERS: dict[str, tuple[Filter, Callable[[Image], bool]]] = {
    "name": (Filter(key="name", values=("a",)), lambda one: one.name == "a"),
    "names": (Filter(key="name", operator="in", values=("a", "ä")), lambda one: one.name in {"a", "ä"}),
    "status": (Filter(key="status", values=("active",)), lambda one: one.status == "active"),
    "disk": (Filter(key="disk_format", values=("raw",)), lambda one: one.disk_format == "raw"),
    "container": (Filter(key="container_format", values=("ova",)), lambda one: one.container_format == "ova"),
    "size": (Filter(key="size", values=(5,)), lambda one: one.size == 5),
    "size_min": (Filter(key="size", operator="gte", values=(5,)), lambda one: (one.size or 0) >= 5),
    "size_max": (
        Filter(key="size", operator="lte", values=(5,)),
        lambda one: one.size is not None and one.size <= 5,
    ),
    "min_ram": (Filter(key="min_ram", operator="gt", values=(1,)), lambda one: one.min_ram > 1),
    "hidden": (Filter(key="os_hidden", values=(1,)), lambda one: one.is_hidden),
    "not hidden": (Filter(key="os_hidden", values=(0,)), lambda one: not one.is_hidden),
    "tag": (Filter(key="tag", values=("x",)), lambda one: "x" in one.tags),
    "property": (Filter(key="property", name="os", values=("l",)), lambda one: one.properties["os"] == "l"),
    "no property": (Filter(key="property", name="oz", values=("l",)), lambda _one: False),
    "changed": (
        Filter(key="updated_at", operator="lt", values=(to_text(START + timedelta(seconds=9)) or "",)),
        lambda one: one.updated_at < START + timedelta(seconds=9),
    ),
    "not then": (
        Filter(key="updated_at_second", operator="neq", values=("2026-01-01T00:00:09",)),
        lambda one: one.updated_at != START + timedelta(seconds=9),
    ),
    "digest": (Filter(key="checksum", values=("0" * 32,)), lambda _one: False),
}


@pytest.mark.parametrize("few", [0, 2000], ids=["along the order", "along the filter"])
@pytest.mark.parametrize(
    "names", [(name,) for name in FILTERS] + [("status", "tag"), ("tag", "property", "disk")]
)
async def test_filters_hold_in_both_ways(
    shelf: Any, names: tuple[str, ...], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a filter is looked up or met on the way, the images are the same, and in the same order."""
    monkeypatch.setattr("fetcher.index.sqlite.listing.FEW", few)
    index, images, answers = shelf
    terms = [FILTERS[name] for name in names]
    for actor in (BOB, ADMIN):
        query = ImageQuery(
            filters=tuple(term for term, _ in terms), limit=6, visibility="all", member_status="all"
        )
        found = await read_all(index, actor, query)
        assert {one.id for one in found} == {
            one.id
            for one in images
            if is_listed(one, actor, query, answers) and all(test(one) for _, test in terms)
        }
        assert found == sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)


async def test_a_marker_is_an_image_that_the_caller_sees(shelf: Any) -> None:
    """Else a list would tell that another project's image exists."""
    index, images, _opener = shelf
    private = next(one for one in images if one.project_id == "alice" and one.visibility == "private")
    assert await index.images.page(ALICE, ImageQuery(limit=1, marker=private.id)) is not None
    for marker in (private.id, "nope"):
        with pytest.raises(InvalidRequest, match="begin after"):
            await index.images.page(BOB, ImageQuery(limit=1, marker=marker))


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
