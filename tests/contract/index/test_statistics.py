"""Questions over many rows, and the lists for people."""

from datetime import timedelta

import msgspec
import pytest

from fetcher.index.protocol import Index
from fetcher.index.values import (
    IMAGE_ORDERS,
    IMPORT_ORDERS,
    Ended,
    Ending,
    ListQuery,
    NewImport,
    OriginStatistics,
    ProjectUsage,
    Totals,
)
from fetcher.lifecycle import State
from fetcher.model import Actor, Import, Verdict
from tests.index.conftest import ADMIN, ALICE, BOB, START, activate, image, make


async def failed(index: Index, code: str, actor: Actor = ALICE, received: int = 0, url: str = "") -> Import:
    new: NewImport = make(actor)
    if url:
        new = msgspec.structs.replace(new, shown_url=url)
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    verdict = Verdict(code="source-unreachable", title="It does not answer.")
    record = msgspec.structs.replace(
        taken[0],
        state=State.FAILED,
        verdict=verdict,
        received_bytes=received,
        updated_at=START + timedelta(seconds=4),
        ended_at=START + timedelta(seconds=4),
    )
    assert await index.imports.end(record, {"code": code})
    return record


async def done(index: Index, actor: Actor = ALICE, name: str = "1") -> NewImport:
    new = make(actor)
    await index.imports.submit(new, max_queued=10)
    await activate(index, new, name)
    return new


async def test_what_is_held_is_summed(index: Index) -> None:
    """Each project's images in full, the store's bytes once."""
    for actor in (ALICE, ALICE, BOB):
        await done(index, actor)
    await index.maintenance.mark("1" * 64, "corrupt", START)
    usage = [
        ProjectUsage(project_id="alice", images=2, size=10),
        ProjectUsage(project_id="bob", images=1, size=5),
    ]
    assert await index.statistics.usage() == usage
    assert await index.statistics.usage(limit=1) == usage[:1]
    checked = "2026-01-01T00:00:00.000000Z"
    totals = Totals(images=3, blobs=1, size=5, faulty=1, oldest_check=checked)
    assert await index.statistics.totals() == totals


async def test_an_empty_index_has_no_figures(index: Index) -> None:
    """Nothing is divided by nothing."""
    assert await index.statistics.totals() == Totals(images=0, blobs=0, size=0, faulty=0, oldest_check=None)
    assert await index.statistics.usage() == []
    assert await index.statistics.origins() == []
    assert await index.statistics.last_ended() == 0
    assert await index.statistics.last_code(START) is None


async def test_ends_are_told_with_their_true_code(index: Index) -> None:
    """By hour or by day, and one by one in the order in which they came."""
    await done(index)
    record = await failed(index, "address-forbidden", received=8)
    hour, day = "2026-01-01T00", "2026-01-01"
    found = await index.statistics.endings(START, by_hour=True)
    assert sorted(found, key=lambda one: one.code) == [
        Ending(at=hour, code="address-forbidden", count=1),
        Ending(at=hour, code="ok", count=1),
    ]
    assert {one.at for one in await index.statistics.endings(START, by_hour=False)} == {day}
    assert await index.statistics.endings(START + timedelta(days=1), by_hour=True) == []
    first, second = await index.statistics.ended_after(0)
    assert (first.action, first.code, first.seconds) == ("activated", "ok", 0.0)
    assert msgspec.structs.replace(second, seconds=None) == Ended(
        number=second.number, action="failed", code="address-forbidden", size=8, seconds=None
    )
    assert second.seconds == pytest.approx(4.0, abs=0.001)
    assert await index.statistics.ended_after(first.number) == [second]
    assert await index.statistics.last_ended() == second.number
    assert await index.statistics.last_code(START) == record.verdict.code


async def test_slow_origins_come_first(index: Index) -> None:
    """Bytes a second over all that an origin delivered; the query of a URL makes no origin."""
    await failed(index, "truncated", received=400, url="https://slow.example/a?b")
    await failed(index, "truncated", received=800, url="https://fast.example/a")
    slow, fast = await index.statistics.origins()
    assert slow == OriginStatistics(
        origin="https://slow.example", imports=1, failed=1, bytes_per_second=pytest.approx(100.0, rel=0.001)
    )
    assert fast.origin == "https://fast.example"
    assert [one.origin for one in await index.statistics.origins(limit=1)] == ["https://slow.example"]


@pytest.mark.parametrize("order", IMAGE_ORDERS)
@pytest.mark.parametrize("down", [False, True], ids=["rising", "falling"])
async def test_people_page_through_images(index: Index, order: str, down: bool) -> None:
    """Whatever the order, each image is on one page, and the total is that of all."""
    made = [
        image(number=number // 2, name=name, size=size, disk_format=disk)
        for number, (name, size, disk) in enumerate(
            [("b", 1, "raw"), (None, None, None), ("A", 5, "qcow2"), ("b", 3, None), ("a_%", 1, "raw")]
        )
    ]
    for one in made:
        await index.images.create(one)
    seen: list[str] = []
    for offset in (0, 2, 4):
        query = ListQuery(order=order, is_descending=down, offset=offset, limit=2)
        page = await index.statistics.list_images(ALICE, query)
        assert page.total == 5
        seen += [one.id for one in page.images]
    assert sorted(seen) == sorted(one.id for one in made)


@pytest.mark.parametrize(
    ("text", "names"),
    [("A_", ["a_%"]), ("%", ["a_%"]), ("_", ["a_%"]), ("B", ["b"]), ("red", ["b"]), ("\\", []), ("x", [])],
)
async def test_people_find_images_by_a_word(index: Index, text: str, names: list[str]) -> None:
    """In a name or a tag, whatever its case; a wildcard of SQL is a letter like any other."""
    made = (image(name="a_%"), image(name="b", tags=("Red",)), image(BOB, name="b"))
    for number, one in enumerate(made):  # No id begins with a letter that is looked for.
        await index.images.create(msgspec.structs.replace(one, id=f"{number}"))
    page = await index.statistics.list_images(ALICE, ListQuery(text=text, order="name", limit=9))
    assert [one.name for one in page.images] == names


async def test_people_find_images_by_id_and_sha256(index: Index) -> None:
    """By their beginnings."""
    new = await done(index, name="ab"[0])
    for text in (new.image.id[:8].upper(), "a" * 10):
        page = await index.statistics.list_images(ALICE, ListQuery(text=text, order="created", limit=9))
        assert [one.id for one in page.images] == [new.image.id], text


async def test_people_see_what_is_offered(index: Index) -> None:
    """No hidden images, and no community images of others unless they are asked for."""
    hidden = image(is_hidden=True)
    community, public, own = image(BOB, visibility="community"), image(BOB, visibility="public"), image()
    for one in (hidden, community, public, own):
        await index.images.create(one)

    async def ids(**filters: str) -> set[str]:
        query = ListQuery(filters=filters, order="created", limit=9)
        return {one.id for one in (await index.statistics.list_images(ALICE, query)).images}

    assert await ids() == {public.id, own.id}
    assert await ids(visibility="community") == {community.id}
    assert await ids(status="queued") == {public.id, own.id}
    assert await ids(disk_format="raw") == set()


@pytest.mark.parametrize("order", IMPORT_ORDERS)
async def test_people_page_through_imports(index: Index, order: str) -> None:
    """Whatever the order, each import is on one page; states are counted whichever is shown."""
    made = [make(number=number // 2) for number in range(4)]
    for new in made:
        await index.imports.submit(new, max_queued=10)
    await index.imports.claim(made[0].record.id, START)
    await index.imports.submit(make(BOB), max_queued=10)
    seen: list[str] = []
    for offset in (0, 2):
        query = ListQuery(order=order, offset=offset, limit=2)
        page = await index.statistics.list_imports(ALICE, query)
        assert (page.total, page.states) == (4, {"queued": 3, "running": 1})
        seen += [one.id for one in page.imports]
    assert sorted(seen) == sorted(new.record.id for new in made)
    query = ListQuery(filters={"state": "running"}, order=order, limit=9)
    page = await index.statistics.list_imports(ADMIN, query)
    assert (page.total, page.states) == (1, {"queued": 4, "running": 1})


async def test_people_find_imports_by_a_word(index: Index) -> None:
    """In the URL or the name, at the beginning of an id or a code."""
    new = make()
    submission = msgspec.structs.replace(new.record.submission, name="Debian_12")
    new = msgspec.structs.replace(new, record=msgspec.structs.replace(new.record, submission=submission))
    await index.imports.submit(new, max_queued=10)
    await failed(index, "x", url="https://other.example/100%")
    for text, count in (
        ("A.EXAMPLE/X", 1),
        ("debian_", 1),
        ("0%", 1),
        ("source-", 1),
        ("example", 2),
        ("?", 0),
    ):
        page = await index.statistics.list_imports(ALICE, ListQuery(text=text, order="name", limit=9))
        assert page.total == count, text
