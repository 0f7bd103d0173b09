"""Imports as the Image API lists them."""

import msgspec
import pytest

from fetcher.errors import InvalidRequest, UnknownImport
from fetcher.index.protocol import Index
from fetcher.index.values import TASK_ORDERS, NewImport, TaskQuery
from fetcher.lifecycle import State
from tests.index.conftest import ADMIN, ALICE, BOB, START, activate, make

METHODS = ("web-download", "glance-direct")


async def filled(index: Index) -> list[NewImport]:
    made = [make(number=number // 2) for number in range(5)]
    other = make(number=1)
    made.append(
        msgspec.structs.replace(other, record=msgspec.structs.replace(other.record, method="glance-direct"))
    )
    for new in made:
        await index.imports.submit(new, max_queued=10)
    await activate(index, made[0])
    return made


@pytest.mark.parametrize("key", TASK_ORDERS)
@pytest.mark.parametrize("down", [False, True], ids=["rising", "falling"])
async def test_pages_hold_each_task_once(index: Index, key: str, down: bool) -> None:
    """Whatever the order, with ties in it."""
    made = await filled(index)
    query = TaskQuery(methods=METHODS, sort_key=key, is_descending=down, limit=2)
    seen: list[str] = []
    while page := await index.tasks.page(ALICE, query):
        seen += [record.id for record in page]
        query = msgspec.structs.replace(query, marker=seen[-1])
    assert sorted(seen) == sorted(new.record.id for new in made)
    whole = await index.tasks.page(ALICE, msgspec.structs.replace(query, limit=99, marker=None))
    assert [record.id for record in whole] == seen


async def test_tasks_are_filtered(index: Index) -> None:
    """By methods, states and image; a page says where more did not fit."""
    made = await filled(index)

    async def ids(**changes: object) -> list[str]:
        query = TaskQuery(**{"methods": METHODS, "limit": 99, **changes})  # type: ignore[arg-type] # fields by name, as each test wants them
        return [record.id for record in await index.tasks.page(ALICE, query)]

    assert await ids(methods=("glance-direct",)) == [made[-1].record.id]
    assert await ids(states=(State.SUCCEEDED, State.FAILED)) == [made[0].record.id]
    assert await ids(image_id=made[1].image.id) == [made[1].record.id]
    page = await index.tasks.page(ALICE, TaskQuery(methods=METHODS, limit=9, max_bytes=1))
    assert (len(page), page.has_more) == (1, True)


async def test_tasks_are_the_projects_own(index: Index) -> None:
    """Another project's task does not exist, as an entry, as a marker or by id; an admin sees all."""
    made = await filled(index)
    record = made[0].record
    assert await index.tasks.page(BOB, TaskQuery(methods=METHODS, limit=9)) == []
    with pytest.raises(InvalidRequest):
        await index.tasks.page(BOB, TaskQuery(methods=METHODS, limit=9, marker=record.id))
    with pytest.raises(UnknownImport):
        await index.tasks.find(record.id, BOB, METHODS)
    with pytest.raises(UnknownImport):
        await index.tasks.find(record.id, ALICE, ("glance-direct",))
    assert (await index.tasks.find(record.id, ADMIN, METHODS)).started_at == START
