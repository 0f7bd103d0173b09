"""Pulls: resume states that outlive a process, and where URLs led."""

from datetime import UTC, datetime, timedelta

import msgspec

from fetcher.index.protocol import Index
from fetcher.index.values import Remembered, ResumeState, Worker
from tests.contract.index.places import Place, SqlitePlace
from tests.index.conftest import ALICE, START, activate, blob, make

KEPT = ResumeState(
    id="one",
    request="r",
    staged="one.1",
    source=1,
    validator='"v"',
    declared_bytes=2**40,
    kept_bytes=2**33,
    kept_digest="0" * 64,
    spent_bytes=2**34,
    spent_seconds=1.5,
    consecutive_failures=2,
)


async def test_a_resume_state_is_found_by_the_next_process(place: Place) -> None:
    """The last one that was written down, with all its fields, until the pull has ended."""
    async with place.open() as index:
        await index.pulls.keep(ResumeState(id="one", request="r"))
        await index.pulls.keep(KEPT)
        await index.pulls.keep_all([KEPT, msgspec.structs.replace(KEPT, id="two")])
        await index.pulls.keep_all([])
    async with place.open() as index:
        assert await index.pulls.unfinished() == [KEPT, msgspec.structs.replace(KEPT, id="two")]
        await index.pulls.drop("one")
        await index.pulls.drop("one")
        assert [kept.id for kept in await index.pulls.unfinished()] == ["two"]
        await index.pulls.drop_all(["two", "three"])
        assert await index.pulls.unfinished() == []


async def test_only_the_pull_of_a_host_that_is_gone_is_adopted(place: Place) -> None:
    """By one host, the furthest first; what its former host writes or drops of it changes nothing."""
    first, second = (Worker(name=name, lease_seconds=60) for name in ("a", "b"))
    async with place.open(worker=first) as gone, place.open(worker=second) as index:
        await gone.pulls.keep(KEPT)
        await gone.pulls.keep(msgspec.structs.replace(KEPT, id="less", kept_bytes=1))
        assert await gone.pulls.adopt("r") is None
        if isinstance(place, SqlitePlace):
            assert await index.pulls.adopt("r") is None
            return
        new = make()
        await gone.imports.submit(new, max_queued=10)
        assert await gone.imports.claim(new.record.id, START) is not None
        assert await index.pulls.adopt("r") is None  # It holds an import.
        await gone.imports.requeue(new.record.id, START)
        assert await index.pulls.adopt("other") is None
        assert await index.pulls.adopt("r") == KEPT
        await gone.pulls.keep(msgspec.structs.replace(KEPT, kept_bytes=2))
        await gone.pulls.drop("one")
        assert await index.pulls.unfinished() == [KEPT]
        assert [one.id for one in await gone.pulls.unfinished()] == ["less"]


async def test_a_released_pull_is_anybodys(place: Place) -> None:
    """A host that lives may let another one go on, which has the pull for itself then."""
    first, second = (Worker(name=name, lease_seconds=60) for name in ("a", "b"))
    async with place.open(worker=first) as index, place.open(worker=second) as other:
        new = make()
        await index.imports.submit(new, max_queued=10)
        assert await index.imports.claim(new.record.id, START) is not None  # It lives, and runs others.
        await index.pulls.keep(msgspec.structs.replace(KEPT, kept_bytes=1))
        await index.pulls.release(KEPT)
        if isinstance(place, SqlitePlace):
            assert await index.pulls.unfinished() == [KEPT]
            return
        assert await index.pulls.adopt("r") == KEPT
        assert await other.pulls.adopt("r") is None
        await index.pulls.release(KEPT)
        assert await other.pulls.adopt("r") == KEPT
        await index.pulls.release(msgspec.structs.replace(KEPT, kept_bytes=2))
        assert await other.pulls.unfinished() == [KEPT]


async def filled(index: Index) -> None:
    new = make()
    await index.imports.submit(new, max_queued=10)
    await activate(index, new)


async def test_a_url_is_remembered_by_project(index: Index) -> None:
    """Each entity tag with its bytes says whose pulls found it; the newest of a project replaces its last."""
    await filled(index)
    await index.pulls.remember(["alice", "bob"], "r", '"1"', blob().address)
    await index.pulls.remember(["bob"], "r", '"2"', blob().address)
    found = sorted(await index.pulls.recall("r"), key=lambda one: one.etag)
    assert found == [
        Remembered(etag='"1"', blob=blob(), projects=frozenset({"alice"})),
        Remembered(etag='"2"', blob=blob(), projects=frozenset({"bob"})),
    ]
    assert await index.pulls.recall("other") == []


async def test_only_whole_bytes_are_recalled(index: Index) -> None:
    """Bytes that are damaged or gone are recalled for nobody, and unknown ones are not remembered."""
    await filled(index)
    await index.pulls.remember(["alice"], "r", '"1"', "f" * 64)
    assert await index.pulls.recall("r") == []
    await index.pulls.remember(["alice"], "r", '"1"', blob().address)
    await index.maintenance.mark(blob().address, "corrupt", START)
    assert await index.pulls.recall("r") == []
    await index.maintenance.mark(blob().address, None, START)
    assert len(await index.pulls.recall("r")) == 1
    [(image, *_)] = [[one.image_id] for one in await index.imports.page(ALICE, {}, limit=5)]
    await index.images.delete(image, ALICE)
    assert await index.pulls.recall("r") == []


async def test_what_urls_held_is_forgotten_by_age(index: Index) -> None:
    """As many as asked for at once, and none that is young."""
    await filled(index)
    await index.pulls.remember(["alice", "bob", "carl"], "r", '"1"', blob().address)
    assert await index.pulls.forget(START) == 0
    later = datetime.now(UTC) + timedelta(days=1)
    assert await index.pulls.forget(later, most=2) == 2
    assert await index.pulls.forget(later) == 1
    assert await index.pulls.recall("r") == []
