"""Quotas: counted by the tables themselves, enforced at the end of every write."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils.db import Database

from fetcher.errors import QuotaExceeded
from fetcher.index import Index
from fetcher.index.sqlite.images import insert_image
from fetcher.index.values import Quota
from fetcher.lifecycle import State
from fetcher.model import Verdict
from tests.index.conftest import ALICE, BOB, START, activate, blob, make

VERDICT = Verdict(code="cancelled", title="It was cancelled.")


def limited(path: Path, images: int = 100, size: int = 1000) -> Index:
    return Index(path / "index.sqlite", quota_of=lambda _project: Quota(images, size))


async def test_one_image_too_many_is_refused_whole(tmp_path: Path) -> None:
    """At the quota passes, one past it leaves neither import nor image; another project is free."""
    async with limited(tmp_path, images=2) as index:
        for _ in range(2):
            await index.imports.submit(make(), max_queued=10)
        with pytest.raises(QuotaExceeded) as caught:
            await index.imports.submit(make(), max_queued=10)
        assert (caught.value.what, caught.value.quota, caught.value.used) == ("images", 2, 2)
        assert await index.imports.counts() == {"queued": 2}
        await index.imports.submit(make(BOB), max_queued=10)


async def test_a_write_that_grows_twice_is_judged_by_what_was_before(tmp_path: Path) -> None:
    """A verb may write several images; the quota is asked once, about all of them."""

    def two(db: Database) -> None:
        for _ in range(2):
            insert_image(db, make().image)

    async with limited(tmp_path, images=3) as index:
        await index.connection.write(two)
        with pytest.raises(QuotaExceeded) as caught:
            await index.connection.write(two)
        assert caught.value.used == 2
        assert (await index.usage.find("alice")).images == 2


async def test_many_at_once_get_exactly_the_quota(tmp_path: Path) -> None:
    """Fifty submissions race for ten places: ten are taken."""
    async with limited(tmp_path, images=10) as index:
        jobs = [index.imports.submit(make(number=number), max_queued=100) for number in range(50)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert sum(isinstance(result, QuotaExceeded) for result in results) == 40
        assert (await index.usage.find("alice")).images == 10


async def test_bytes_are_decided_where_the_image_becomes_visible(tmp_path: Path) -> None:
    """Two images that fit alone race: the second is refused by its own transaction, and nothing stays."""
    async with limited(tmp_path, size=9) as index:
        first, second = make(), make()
        for new in (first, second):
            await index.imports.submit(new, max_queued=10)
        assert await activate(index, first)
        with pytest.raises(QuotaExceeded) as caught:
            await activate(index, second, "2")
        assert (caught.value.what, caught.value.used) == ("bytes", 5)
        assert not await index.images.has_blob("2" * 64)
        assert (await index.imports.find(second.record.id, ALICE)).state is State.RUNNING


async def test_a_declared_size_is_held_from_the_first_byte(tmp_path: Path) -> None:
    """An import that said what it will bring keeps its room until it ends, whoever comes meanwhile."""
    async with limited(tmp_path, size=100) as index:
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


async def test_equal_bytes_count_for_each_image(tmp_path: Path) -> None:
    """Sharing is our saving, and tells nobody who else has the bytes."""
    async with limited(tmp_path) as index:
        for actor in (ALICE, ALICE, BOB):
            new = make(actor)
            await index.imports.submit(new, max_queued=10)
            await activate(index, new)
        assert (await index.usage.find("alice")).bytes == 10
        assert (await index.usage.find("bob")).bytes == 5


async def test_no_room_at_all_is_said_at_once(tmp_path: Path) -> None:
    """A project at its last byte is told before anything is fetched."""
    async with limited(tmp_path, size=5) as index:
        new = make()
        await index.imports.submit(new, max_queued=10)
        await activate(index, new)
        with pytest.raises(QuotaExceeded):
            await index.imports.submit(make(), max_queued=10)
        await index.images.delete(new.image.id, ALICE)
        await index.imports.submit(make(), max_queued=10)


async def test_a_quota_that_was_lowered_refuses_growth_only(tmp_path: Path) -> None:
    """Whoever is over a new quota can still delete, cancel and end what runs."""
    quota = [Quota(10, 1000)]
    async with Index(tmp_path / "index.sqlite", quota_of=lambda _project: quota[0]) as index:
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
def test_the_count_is_what_the_rows_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Whatever order of writes: usage equals the sum over images and imports."""

    async def carry_out() -> None:
        async with limited(tmp_path_factory.mktemp("usage"), images=4, size=60) as index:
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
        try:
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
        except Exception as error:
            if type(error).__module__ != "fetcher.errors":
                raise

    asyncio.run(carry_out())
