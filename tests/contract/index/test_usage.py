"""Quotas: judged at the end of every write, whichever verb made it, and exact whoever writes meanwhile."""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import Failure, QuotaExceeded
from fetcher.index.protocol import Index
from fetcher.index.values import Quota, Usage
from fetcher.lifecycle import State
from fetcher.model import Verdict
from tests.contract.index.places import Place, Places
from tests.index.conftest import ALICE, BOB, START, activate, blob, image, make

VERDICT = Verdict(code="cancelled", title="It was cancelled.")


def limited(place: Place, images: int = 100, size: int = 1000) -> AbstractAsyncContextManager[Index]:
    return place.open(lambda _project: Quota(images, size))


async def test_one_image_too_many_is_refused_whole(place: Place) -> None:
    """At the quota passes, one past it leaves neither import nor image; another project is free."""
    async with limited(place, images=2) as index:
        for _ in range(2):
            await index.imports.submit(make(), max_queued=10)
        with pytest.raises(QuotaExceeded) as caught:
            await index.imports.submit(make(), max_queued=10)
        assert (caught.value.what, caught.value.quota, caught.value.used) == ("images", 2, 2)
        assert await index.imports.counts() == {"queued": 2}
        await index.imports.submit(make(BOB), max_queued=10)


async def test_many_at_once_get_exactly_the_quota(place: Place) -> None:
    """Fifty submissions by two processes race for ten places: ten are taken."""
    async with limited(place, images=10) as index, limited(place, images=10) as other:
        jobs = [
            (index, other)[number % 2].imports.submit(make(number=number), max_queued=100)
            for number in range(50)
        ]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert sum(isinstance(result, QuotaExceeded) for result in results) == 40
        assert (await index.usage.find("alice")).images == 10
        assert await other.maintenance.miscounted() == []


async def test_bytes_race_across_processes(place: Place) -> None:
    """Ten images of five bytes end at the same time in two processes: as many are kept as fit."""
    async with limited(place, size=26) as index, limited(place, size=26) as other:
        made = [make(number=number) for number in range(10)]
        for new in made:
            await index.imports.submit(new, max_queued=100)
        jobs = [activate((index, other)[number % 2], new, str(number)) for number, new in enumerate(made)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert [
            result for result in results if result is not True and not isinstance(result, QuotaExceeded)
        ] == []
        assert results.count(True) == 5
        assert (await other.usage.find("alice")).bytes == 25


async def test_text_has_a_quota_of_its_own(place: Place) -> None:
    """Names, tags and properties count as bytes of UTF-8; what is deleted counts no more."""
    async with place.open(lambda _project: Quota(10, 1000, max_text_bytes=10)) as index:
        first = image(name="äb", tags=("c",), properties={"d": "efg"})
        await index.images.create(first)
        with pytest.raises(QuotaExceeded) as caught:
            await index.images.create(image(name="abc"))
        assert (caught.value.what, caught.value.used) == ("bytes of text", 8)
        await index.images.delete(first.id, ALICE)
        await index.images.create(image(name="abc"))


async def test_few_images_are_written_at_once(place: Place) -> None:
    """At the bound passes, one past it is told; one that ends makes room for the next."""
    async with place.open(lambda _project: Quota(10, 1000, max_uploading=2)) as index:
        first, _second = [await index.imports.submit(make(), max_queued=10) for _ in range(2)]
        assert (await index.usage.find("alice")).uploading == 2
        with pytest.raises(QuotaExceeded) as caught:
            await index.imports.submit(make(), max_queued=10)
        assert (caught.value.quota, caught.value.used) == (2, 2)
        await index.imports.submit(make(BOB), max_queued=10)
        await index.imports.cancel(first.id, ALICE, VERDICT, START)
        await index.imports.submit(make(), max_queued=10)


async def test_a_project_that_is_unknown_holds_nothing(index: Index) -> None:
    """Asking what a project holds makes no record of it."""
    assert await index.usage.find("nobody") == Usage()


async def test_recounting_finds_nothing_wrong(index: Index) -> None:
    """Counting anew gives what was counted all along."""
    await index.imports.submit(make(), max_queued=10)
    await index.images.create(image(name="n", tags=("t",), properties={"p": "v"}))
    before = await index.usage.find("alice")
    assert await index.maintenance.miscounted() == []
    await index.maintenance.recount()
    assert await index.usage.find("alice") == before
    assert await index.maintenance.miscounted() == []


async def test_bytes_are_decided_where_the_image_becomes_visible(place: Place) -> None:
    """Two images that fit alone race: the second is refused by its own transaction, and nothing stays."""
    async with limited(place, size=9) as index:
        first, second = make(), make()
        for new in (first, second):
            await index.imports.submit(new, max_queued=10)
        assert await activate(index, first)
        with pytest.raises(QuotaExceeded) as caught:
            await activate(index, second, "2")
        assert (caught.value.what, caught.value.used) == ("bytes", 5)
        assert not await index.images.has_blob("2" * 64)
        assert (await index.imports.find(second.record.id, ALICE)).state is State.RUNNING


async def test_a_declared_size_is_held_from_the_first_byte(place: Place) -> None:
    """An import that said what it will bring keeps its room until it ends, whoever comes meanwhile."""
    async with limited(place, size=100) as index:
        first, second = make(), make()
        for new in (first, second):
            await index.imports.submit(new, max_queued=10)
        holding = await index.imports.claim(first.record.id, START)
        assert holding is not None
        assert await index.imports.record(msgspec.structs.replace(holding[0], expected_bytes=98))
        with pytest.raises(QuotaExceeded):
            await activate(index, second)
        await index.imports.cancel(first.record.id, ALICE, VERDICT, START)
        assert (await index.usage.find("alice")).held_bytes == 0


async def test_equal_bytes_count_for_each_image(place: Place) -> None:
    """Sharing is our saving, and tells nobody who else has the bytes."""
    async with limited(place) as index:
        for actor in (ALICE, ALICE, BOB):
            new = make(actor)
            await index.imports.submit(new, max_queued=10)
            await activate(index, new)
        assert (await index.usage.find("alice")).bytes == 10
        assert (await index.usage.find("bob")).bytes == 5


async def test_no_room_at_all_is_said_at_once(place: Place) -> None:
    """A project at its last byte is told before anything is fetched."""
    async with limited(place, size=5) as index:
        new = make()
        await index.imports.submit(new, max_queued=10)
        await activate(index, new)
        with pytest.raises(QuotaExceeded):
            await index.imports.submit(make(), max_queued=10)
        await index.images.delete(new.image.id, ALICE)
        await index.imports.submit(make(), max_queued=10)


async def test_a_quota_that_was_lowered_refuses_growth_only(place: Place) -> None:
    """Whoever is over a new quota can still delete, cancel and end what runs."""
    quota = [Quota(10, 1000)]
    async with place.open(lambda _project: quota[0]) as index:
        made = [make() for _ in range(4)]
        for new in made:
            await index.imports.submit(new, max_queued=10)
        await activate(index, made[0])
        quota[0] = Quota(1, 1)
        await index.imports.cancel(made[1].record.id, ALICE, VERDICT, START)
        await index.images.delete(made[0].image.id, ALICE)
        taken = await index.imports.claim(made[2].record.id, START)
        assert taken is not None
        assert await index.imports.end(
            msgspec.structs.replace(taken[0], state=State.FAILED, ended_at=START), {}
        )
        assert (await index.usage.find("alice")).images == 1


@settings(max_examples=15)
@given(
    steps=st.lists(st.tuples(st.sampled_from("sacde"), st.integers(0, 5), st.integers(0, 50)), max_size=25)
)
def test_the_count_is_what_the_rows_say(places: Places, steps: list[tuple[str, int, int]]) -> None:
    """Whatever order of writes: usage equals the sum over images and imports."""

    async def carry_out() -> None:
        async with limited(places.new(), images=4, size=60) as index:
            made = []
            for step, which, size in steps:
                if step == "s":
                    made.append(make(ALICE if which % 2 else BOB))
                if made:
                    await one_step(index, made, step, which, size)
                assert await index.maintenance.miscounted() == []

    async def one_step(index: Index, made: list, step: str, which: int, size: int) -> None:
        new = made[which % len(made)]
        owner = ALICE if new.record.project_id == "alice" else BOB
        with suppress(Failure):
            if step == "s":
                await index.imports.submit(made[-1], max_queued=10)
            elif step == "a":
                taken = await index.imports.claim(new.record.id, START)
                if taken is not None:
                    await index.imports.record(msgspec.structs.replace(taken[0], expected_bytes=size))
                    await index.imports.activate(
                        msgspec.structs.replace(taken[0], state=State.SUCCEEDED, ended_at=START),
                        msgspec.structs.replace(blob(str(size % 3)), size=size),
                        new.image,
                        {},
                    )
            elif step == "c":
                await index.imports.cancel(new.record.id, owner, VERDICT, START)
            elif step == "d":
                await index.images.delete(new.image.id, owner)
            else:
                await index.maintenance.recount()

    asyncio.run(carry_out())
