"""Lists of images: what Python would say, whichever index says it."""

import itertools
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from fetcher.errors import InvalidRequest, UnknownImage
from fetcher.index.protocol import Index
from fetcher.index.rows import to_line
from fetcher.index.values import SORT_KEYS, Filter, ImageLine, ImageQuery
from fetcher.model import Actor, Image, Member, Status
from tests.contract.index.places import Places
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


async def fill(index: Index) -> tuple[Index, list[Image], dict[str, str]]:
    """Put some images into an index, and have bob answer to those shared with him."""
    images = some_images(150)
    answers: dict[str, str] = {}
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
    return index, images, answers


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shelf(places: Places) -> Any:
    """An index with some images, the images, and how bob answered to those shared with him."""
    async with places.new().open() as index:
        yield await fill(index)


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
    is_default = query.visibility is None and query.owner is None
    if is_default and one.visibility == "community" and one.project_id != actor.project_id:
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
        Filter(key="updated_at", operator="lt", values=("2026-01-01T00:00:09.000000Z",)),
        lambda one: one.updated_at < START + timedelta(seconds=9),
    ),
    "not then": (
        Filter(key="updated_at_second", operator="neq", values=("2026-01-01T00:00:09",)),
        lambda one: one.updated_at != START + timedelta(seconds=9),
    ),
    "digest": (Filter(key="checksum", values=("0" * 32,)), lambda _one: False),
}


NAMES = [(name,) for name in FILTERS] + [("status", "tag"), ("tag", "property", "disk")]


@pytest.mark.parametrize("names", NAMES)
async def test_filters_leave_what_meets_them(shelf: Any, names: tuple[str, ...]) -> None:
    """Alone and together, in the order of the list."""
    await check_filters(shelf, names)


async def check_filters(shelf: Any, names: tuple[str, ...]) -> None:
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


NASTY = ('"', "\\", "/", "</script>", "\u2028", "\x01\x1f\x7f", "ä😀", " ", "{}", "[]", "é\n\t", "'--")


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.QUEUED, Status.IMPORTING, Status.UPLOADING])
async def test_a_line_says_what_the_image_does(places: Places, status: Status) -> None:
    """In a list and alone, whatever its texts are made of, and with none at all."""
    nasty = dict(zip(NASTY, reversed(NASTY), strict=True))
    async with places.new().open() as index:
        await index.images.create(image(number=1, status=status, tags=tuple(sorted(NASTY)), properties=nasty))
        await index.images.create(image(number=2, status=status, name=None, tags=(), properties={}))
        images = await index.images.page(ALICE, ImageQuery(limit=5))
        lines = await index.images.lines(ALICE, ImageQuery(limit=5))
        assert [as_read(line) for line in lines] == [as_read(to_line(one)) for one in images]
        assert not lines.has_more
        alone = [await index.images.line(one.id, ALICE) for one in images]
        assert [as_read(line) for line in alone] == [as_read(line) for line in lines]
        assert (await index.images.lines(ALICE, ImageQuery(limit=5, max_bytes=1))).has_more
        with pytest.raises(UnknownImage):
            await index.images.line(images[0].id, BOB)


def as_read(line: ImageLine) -> dict[str, Any]:
    """Return the content of a line, its documents parsed; their size is not part of it."""
    said = msgspec.structs.asdict(line)
    documents = {name: msgspec.json.decode(said[name]) for name in ("tags", "properties")}
    return {**said, **documents, "text_bytes": 0}


async def test_a_marker_is_an_image_that_the_caller_sees(shelf: Any) -> None:
    """Else a list would tell that another project's image exists."""
    index, images, _opener = shelf
    private = next(one for one in images if one.project_id == "alice" and one.visibility == "private")
    assert await index.images.page(ALICE, ImageQuery(limit=1, marker=private.id)) is not None
    for marker in (private.id, "nope"):
        with pytest.raises(InvalidRequest, match="begin after"):
            await index.images.page(BOB, ImageQuery(limit=1, marker=marker))
