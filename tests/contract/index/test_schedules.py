"""Schedules: bounded and scoped by project; the stable name goes from image to image, all at once."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from fetcher.errors import Conflict, UnknownSchedule
from fetcher.index.protocol import Index
from fetcher.index.values import Schedule, ScheduleProgress, ScheduleRules, WebhookTarget
from fetcher.model import Actor
from tests.index.conftest import ADMIN, ALICE, BOB, START, image


def schedule(actor: Actor = ALICE, number: int = 0, **rules: object) -> Schedule:
    """A schedule made at second `number`, and due then."""
    plain = {"catalogue": "a:1", "name": "a", "keep": 2, "retire": "hide", "interval_seconds": 60.0}
    return Schedule(
        id=str(uuid4()),
        project_id=actor.project_id,
        user_id=actor.user_id,
        rules=msgspec.convert({**plain, **rules}, ScheduleRules),
        next_at=START + timedelta(seconds=number),
        created_at=START + timedelta(seconds=number),
    )


async def made(index: Index, new: Schedule, most: int = 9) -> Schedule:
    await index.schedules.create(new, most=most)
    return new


async def test_schedules_are_their_projects(index: Index) -> None:
    """Another project's does not exist; an admin sees all, the oldest first."""
    first, second, other = [
        await made(index, schedule(actor, number)) for actor, number in ((ALICE, 0), (ALICE, 1), (BOB, 2))
    ]
    assert await index.schedules.page(ALICE) == [first, second]
    assert await index.schedules.page(ADMIN) == [first, second, other]
    assert await index.schedules.find(first.id, ALICE) == first
    for verb in (index.schedules.find, index.schedules.remove):
        with pytest.raises(UnknownSchedule):
            await verb(first.id, BOB)
    await index.schedules.remove(first.id, ALICE)
    assert await index.schedules.page(ALICE) == [second]


async def test_i11_lists_of_schedules_come_in_parts(index: Index) -> None:
    """So many at a time, in number and in bytes; another project's is no place to begin after."""
    mine = [await made(index, schedule(ALICE, n, properties={"p": "x" * 5000})) for n in range(4)]
    other = await made(index, schedule(BOB))
    first = await index.schedules.page(ALICE, limit=3)
    assert (first, first.has_more) == (mine[:3], True)
    rest = await index.schedules.page(ALICE, limit=3, marker=mine[2].id)
    assert (rest, rest.has_more) == (mine[3:], False)
    large = await index.schedules.page(ALICE, max_bytes=16_000)
    assert (large, large.has_more) == (mine[:2], True)
    assert await index.schedules.page(ALICE, max_bytes=1) == mine[:1]
    with pytest.raises(UnknownSchedule):
        await index.schedules.page(ALICE, marker=other.id)


async def test_a_project_has_as_many_as_it_may(index: Index, other: Index) -> None:
    """Ten race for three places, in two processes, and another project has its own."""
    jobs = [made((index, other)[number % 2], schedule(number=number), 3) for number in range(10)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 7
    await made(index, schedule(BOB), 3)


async def test_turns_come_by_their_time(index: Index) -> None:
    """What is due longest comes first; a noted one waits for its next turn, and a removed one has none."""
    second, first = await made(index, schedule(number=5)), await made(index, schedule(number=2))
    assert await index.schedules.due(START) == []
    assert await index.schedules.due(START + timedelta(seconds=5)) == [first, second]
    progress = ScheduleProgress(serial="7", code="ok", checked_at=START)
    assert await index.schedules.note(first, progress, START + timedelta(hours=1))
    assert (await index.schedules.find(first.id, ALICE)).progress == progress
    assert await index.schedules.due(START + timedelta(seconds=5)) == [second]
    await index.schedules.remove(first.id, ALICE)
    assert not await index.schedules.note(first, progress, START)


async def test_a_clock_that_was_ahead_puts_nothing_off_for_ever(index: Index) -> None:
    """A turn that is further away than any interval was noted by a wrong clock, and is due at once."""
    new = await made(index, schedule())
    progress = ScheduleProgress(serial="7", code="ok", checked_at=START)
    for days, expected in ((366, []), (36_500, [new.id])):
        before = await index.schedules.find(new.id, ALICE)
        assert await index.schedules.note(before, progress, START + timedelta(days=days))
        assert [one.id for one in await index.schedules.due(START)] == expected


async def test_an_edit_is_one_step(index: Index, other: Index) -> None:
    """Ten edits in two processes all count; a look by older rules does not; a receiver comes back whole."""
    new = await made(index, schedule())

    def more(before: Schedule) -> Schedule:
        return msgspec.structs.replace(
            before,
            rules=msgspec.structs.replace(before.rules, keep=before.rules.keep + 1),
            receiver=WebhookTarget(url="https://a.example/hook", secret="hush"),
        )

    jobs = [(index, other)[number % 2].schedules.edit(new.id, ALICE, more) for number in range(10)]
    assert max(one.rules.keep for one in await asyncio.gather(*jobs)) == 12
    found = await index.schedules.find(new.id, ALICE)
    assert (found.rules.keep, found.receiver) == (
        12,
        WebhookTarget(url="https://a.example/hook", secret="hush"),
    )
    assert not await index.schedules.note(new, ScheduleProgress(code="ok"), START)
    assert await index.schedules.note(found, ScheduleProgress(code="ok"), START)
    with pytest.raises(UnknownSchedule):
        await index.schedules.edit(new.id, BOB, more)


async def test_a_look_that_another_one_overtook_counts_for_nothing(index: Index, other: Index) -> None:
    """A host that stood still in its turn neither writes down what it found then, nor gives the name back."""
    slow = await made(index, schedule())
    older, newer = image(number=1), image(number=2)
    for one in (older, newer):
        await index.images.create(one)
    assert await index.schedules.note(slow, ScheduleProgress(import_id="first", code="running"), START)
    slow = await index.schedules.find(slow.id, ALICE)
    assert await other.schedules.promote(slow, older.id, "1", START) == []
    assert await other.schedules.note(slow, ScheduleProgress(serial="1", code="ok"), START)
    quick = await other.schedules.find(slow.id, ALICE)
    assert await other.schedules.promote(quick, newer.id, "2", START + timedelta(seconds=1)) == []
    assert await index.schedules.promote(slow, older.id, "1", START + timedelta(seconds=2)) == []
    assert not await index.schedules.note(slow, ScheduleProgress(serial="1", code="ok"), START)
    assert (await index.schedules.find(slow.id, ALICE)) == quick
    names = [(await index.images.find(one.id, ALICE)).name for one in (older, newer)]
    assert names == ["a (1)", "a"]


async def test_a_new_name_is_the_newest_images_at_once(index: Index) -> None:
    """Its older images keep their names, and so does an image that somebody named likewise."""
    rules, newest, foreign = await made(index, schedule()), image(number=1), image(number=2, name="a")
    for one in (newest, foreign):
        await index.images.create(one)
    await index.schedules.promote(rules, newest.id, "1", START)
    renamed = msgspec.structs.replace(rules.rules, name="b")
    await index.schedules.edit(rules.id, ALICE, lambda one: msgspec.structs.replace(one, rules=renamed))
    names = [(await index.images.find(one.id, ALICE)).name for one in (newest, foreign)]
    assert names == ["b", "a"]
    assert await index.maintenance.miscounted() == []


async def test_the_stable_name_goes_to_the_newest_image(index: Index) -> None:
    """Older ones get names with their serials and are hidden; beyond those kept, the oldest is named."""
    rules = await made(index, schedule())
    images = [image(number=number, is_protected=number == 1) for number in range(4)]
    told = []
    for number, new in enumerate(images):
        await index.images.create(new)
        moment = START + timedelta(minutes=number)
        told.append(await index.schedules.promote(rules, new.id, str(number), moment))
    assert told == [[], [], [images[0].id], [images[0].id]]
    found = [await index.images.find(new.id, ALICE) for new in images]
    assert [(one.name, one.is_hidden) for one in found] == [
        ("a (0)", True),
        ("a (1)", True),
        ("a (2)", True),
        ("a", False),
    ]
    assert await index.maintenance.miscounted() == []


async def test_a_name_stays_where_its_schedule_or_the_new_image_is_gone(index: Index) -> None:
    """Nothing is renamed for what was removed meanwhile."""
    rules, new = await made(index, schedule()), image(name="x")
    assert await index.schedules.promote(rules, new.id, "1", START) == []
    await index.images.create(new)
    await index.schedules.remove(rules.id, ALICE)
    assert await index.schedules.promote(rules, new.id, "1", START) == []
    assert (await index.images.find(new.id, ALICE)).name == "x"
