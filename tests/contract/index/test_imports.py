"""Imports: one transaction a verb, fenced by claims, scoped to projects, whoever else has them open."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from fetcher.errors import Conflict, IdempotencyMismatch, QueueFull, UnknownImage, UnknownImport
from fetcher.index.protocol import Index
from fetcher.index.values import FAILED_IMPORT, FILTERS, Contents, IdempotencyKey, ImageQuery, Secrets
from fetcher.lifecycle import Event, State
from fetcher.model import Attempt, Delivery, FormatVerdict, Hop, Phase, Status, Verdict
from tests.contract.index.places import Place
from tests.index.conftest import ADMIN, ALICE, BOB, START, activate, blob, image, make


async def test_a_submission_is_found_by_its_project_only(index: Index) -> None:
    """Another project's import does not exist; an admin sees all."""
    new = make()
    written = await index.imports.submit(new, max_queued=10)
    assert await index.imports.find(new.record.id, ALICE) == written
    assert await index.imports.find(new.record.id, ADMIN) == written
    with pytest.raises(UnknownImport):
        await index.imports.find(new.record.id, BOB)
    assert (await index.images.find(new.image.id, ALICE)).properties == {"p": "v"}


async def test_secrets_stay_apart_and_go_with_the_end(place: Place, index: Index) -> None:
    """The URL's password is in one row, and in none once the import has ended."""
    new = make()
    written = await index.imports.submit(new, max_queued=10)
    assert "secret@" not in msgspec.json.encode(written).decode()
    claimed = await index.imports.claim(new.record.id, START)
    assert claimed is not None
    assert claimed[1] == Secrets(url="https://u:secret@a.example/x")
    failed = msgspec.structs.replace(claimed[0], state=State.FAILED, ended_at=START)
    assert await index.imports.end(failed, {})
    assert "secret@" not in await place.dump(index)


async def test_a_delivered_image_leaves_its_story_and_nothing_else(place: Place, index: Index) -> None:
    """One transaction takes record and secrets, and keeps where the bytes came from with the import alone."""
    new = make()
    secrets = msgspec.structs.replace(new.secrets, target_token="hush hush")
    await index.imports.submit(msgspec.structs.replace(new, secrets=secrets), max_queued=10)
    assert (await index.imports.secrets(new.record.id)).target_token == "hush hush"
    claimed = await index.imports.claim(new.record.id, START)
    assert claimed is not None
    there = Delivery(url="https://glance.example", image_id="there", is_away=True)
    verdict = Verdict(code="ok", title="There.")
    record = claimed[0].ended(Event.SUCCEED, verdict, START, delivery=there)
    assert await index.imports.deliver(record, {"a": 1})
    assert not await index.imports.deliver(record, {"a": 2})
    assert (await index.imports.find(new.record.id, ALICE)).delivery == there
    assert await index.imports.provenance(new.record.id, ALICE) == {"a": 1}
    with pytest.raises(UnknownImage):
        await index.images.find(new.image.id, ALICE)
    assert "hush hush" not in await place.dump(index)
    assert await index.imports.forget(START + timedelta(days=1)) == 1
    assert '{"a":1}' not in await place.dump(index)


async def test_the_same_key_submits_once(index: Index) -> None:
    """A repeated POST finds the first one's import; another request under the key is refused."""
    key = IdempotencyKey(key="k", fingerprint="f")
    first = await index.imports.submit(make(key=key), max_queued=10)
    assert (await index.imports.submit(make(key=key), max_queued=10)).id == first.id
    with pytest.raises(IdempotencyMismatch):
        await index.imports.submit(make(key=IdempotencyKey(key="k", fingerprint="g")), max_queued=10)
    assert (await index.imports.submit(make(BOB, key=key), max_queued=10)).id != first.id


async def test_the_queue_has_an_end(index: Index) -> None:
    """At the limit passes, one past it is told to come back."""
    await index.imports.submit(make(), max_queued=1)
    with pytest.raises(QueueFull):
        await index.imports.submit(make(), max_queued=1)


async def test_activation_makes_image_blob_and_verdict_visible_at_once(index: Index) -> None:
    """There is no moment with an active image and no bytes, or bytes and no verdict."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    assert await activate(index, new)
    image = await index.images.find(new.image.id, ALICE)
    assert (image.status, image.size, image.md5) == (Status.ACTIVE, 5, "1" * 32)
    assert (await index.imports.find(new.record.id, ALICE)).state is State.SUCCEEDED
    assert await index.imports.provenance(new.record.id, ALICE) == {"story": "told"}


async def test_a_lost_claim_changes_nothing(index: Index) -> None:
    """A frozen run that wakes up after its import was taken over cannot write over it."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    stale = await index.imports.claim(new.record.id, START)
    assert stale is not None
    await index.imports.requeue(new.record.id, START)
    late = msgspec.structs.replace(stale[0], state=State.FAILED, ended_at=START)
    assert not await index.imports.record(stale[0])
    assert not await index.imports.end(late, {})
    assert (await index.imports.find(new.record.id, ALICE)).state is State.QUEUED


async def test_cancel_wins_over_a_later_activation(index: Index) -> None:
    """Whoever comes first in the index decides; the image is gone for good."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    running = await index.imports.claim(new.record.id, START)
    assert running is not None
    verdict = Verdict(code="cancelled", title="It was cancelled.")
    cancelled = await index.imports.cancel(new.record.id, ALICE, verdict, START)
    assert cancelled.state is State.CANCELLED
    assert await index.imports.cancel(new.record.id, ALICE, verdict, START) == cancelled
    assert not await index.imports.record(running[0])
    with pytest.raises(UnknownImage):
        await index.images.find(new.image.id, ALICE)
    assert await index.imports.claim(new.record.id, START) is None


async def test_an_ended_import_cannot_be_cancelled(index: Index) -> None:
    """What has succeeded is an image now, and is deleted as one."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    await activate(index, new)
    with pytest.raises(Conflict):
        await index.imports.cancel(
            new.record.id, ALICE, Verdict(code="cancelled", title="It was cancelled."), START
        )
    with pytest.raises(UnknownImport):
        await index.imports.cancel(
            new.record.id, BOB, Verdict(code="cancelled", title="It was cancelled."), START
        )


async def test_pages_are_newest_first_and_complete(index: Index) -> None:
    """Paging by marker shows every import once, also where times are equal."""
    made = [make(number=number // 2) for number in range(7)]
    for new in made:
        await index.imports.submit(new, max_queued=10)
    await index.imports.submit(make(BOB), max_queued=10)
    seen: list[str] = []
    marker = None
    while page := await index.imports.page(ALICE, {}, limit=2, marker=marker):
        seen += [record.id for record in page]
        marker = seen[-1]
    expected = sorted(made, key=lambda new: (new.record.created_at, new.record.id), reverse=True)
    assert seen == [new.record.id for new in expected]
    filtered = await index.imports.page(ALICE, {"image_id": made[3].image.id}, limit=10)
    assert [record.id for record in filtered] == [made[3].record.id]


async def test_equal_bytes_share_a_blob_until_the_last_image_goes(index: Index) -> None:
    """One image's deletion never takes another's bytes."""
    first, second = make(), make()
    for new in (first, second):
        await index.imports.submit(new, max_queued=10)
        await activate(index, new)
    assert await index.images.blobs() == ["1" * 64]
    assert await index.images.delete(first.image.id, ALICE) is None
    assert await index.images.has_blob("1" * 64)
    assert await index.images.delete(second.image.id, ALICE) == "1" * 64
    assert not await index.images.has_blob("1" * 64)


async def test_an_importing_image_cannot_be_deleted(index: Index) -> None:
    """The import is cancelled first; else it would end without its image."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    with pytest.raises(Conflict):
        await index.images.delete(new.image.id, ALICE)


async def test_old_imports_are_forgotten_and_images_stay(index: Index) -> None:
    """Nothing grows for ever; what an image is and where it came from stays known."""
    new = make(key=IdempotencyKey(key="k", fingerprint="f"))
    await index.imports.submit(new, max_queued=10)
    await activate(index, new)
    assert await index.imports.forget(START) == 0
    assert await index.imports.forget(START + timedelta(seconds=1)) == 1
    assert (await index.images.find(new.image.id, ALICE)).status is Status.ACTIVE
    assert [image.id for image in await index.images.page(ALICE, ImageQuery(limit=5))] == [new.image.id]


async def test_what_has_not_ended_is_taken_up_in_order(index: Index) -> None:
    """A start finds every import that has no verdict yet, oldest first."""
    old, young, done = make(number=1), make(number=2), make(number=0)
    for new in (young, old, done):
        await index.imports.submit(new, max_queued=10)
    await activate(index, done)
    left = await index.recovery.left_behind()
    assert [one.id for one in left.waiting] == [old.record.id, young.record.id]
    assert await index.imports.counts() == {"queued": 2}


async def test_what_was_submitted_is_there_for_the_next_process(place: Place) -> None:
    """A submission that was answered outlives its process, secrets and place in the queue included."""
    new = make()
    async with place.open() as index:
        written = await index.imports.submit(new, max_queued=10)
    async with place.open() as index:
        [left] = (await index.recovery.left_behind()).waiting
        assert (left.id, left.secrets, left.submission) == (written.id, new.secrets, written.submission)
        assert (left.project_id, left.method, left.is_delivered) == ("alice", written.method, False)


async def test_a_submission_that_need_not_wait_is_claimed_with_it(index: Index, other: Index) -> None:
    """One transaction writes and claims it; the same key claims nothing, and a full queue takes nothing."""
    key = IdempotencyKey(key="k", fingerprint="f")
    new = make(key=key)
    written, claimed = await index.imports.begin(new, max_queued=1, now=START)
    assert written.state is State.QUEUED
    assert claimed is not None
    assert (claimed.record.state, claimed.record.claim) == (State.RUNNING, 1)
    assert [attempt.number for attempt in claimed.record.attempts] == [1]
    assert claimed.secrets == new.secrets
    assert claimed.used_bytes == 0
    assert await other.imports.claim(new.record.id, START) is None
    assert await other.imports.begin(make(key=key), max_queued=1, now=START) == (claimed.record, None)
    await index.imports.submit(make(), max_queued=1)
    late = make()
    with pytest.raises(QueueFull):
        await index.imports.begin(late, max_queued=1, now=START)
    with pytest.raises(UnknownImport):
        await index.imports.find(late.record.id, ALICE)


async def test_a_claim_tells_what_the_project_holds(index: Index) -> None:
    """Whoever runs an import need not ask for it."""
    for held in (0, 5):
        new = make()
        await index.imports.submit(new, max_queued=10)
        taken = await index.imports.claim(new.record.id, START)
        assert taken is not None
        assert taken.used_bytes == held
        done = msgspec.structs.replace(taken.record, state=State.SUCCEEDED, ended_at=START)
        assert await index.imports.activate(done, blob(), new.image, {})


async def test_an_image_keeps_what_its_bytes_do_not_change(index: Index) -> None:
    """Its name and the formats that nobody judged stay; a nameless one is called as its file is."""
    for name in ("mine", None):
        new = make()
        new = msgspec.structs.replace(
            new,
            image=msgspec.structs.replace(new.image, name=name, disk_format="raw", container_format="bare"),
        )
        _written, claimed = await index.imports.begin(new, max_queued=10, now=START)
        assert claimed is not None
        done = msgspec.structs.replace(claimed.record, state=State.SUCCEEDED, ended_at=START)
        contents = Contents(
            id=new.image.id,
            name="file",
            disk_format="qcow2" if name else None,
            container_format=None,
            virtual_size=7,
            updated_at=START,
        )
        assert await index.imports.activate(done, blob(), contents, {})
        found = await index.images.find(new.image.id, ALICE)
        assert (found.status, found.size, found.virtual_size) == (Status.ACTIVE, 5, 7)
        assert (found.name, found.container_format) == (name or "file", "bare")
        assert found.disk_format == ("qcow2" if name else "raw")


async def test_one_process_claims_an_import(index: Index, other: Index) -> None:
    """Ten claims by two processes at once: one has it, under the first number, the rest have nothing."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    jobs = [(index, other)[number % 2].imports.claim(new.record.id, START) for number in range(10)]
    taken = [found for found in await asyncio.gather(*jobs) if found is not None]
    assert [found.record.claim for found in taken] == [1]
    assert taken[0][0].state is State.RUNNING
    assert taken[0][1] == new.secrets


async def test_equal_keys_at_once_make_one_import(index: Index, other: Index) -> None:
    """A client that repeats its POST at two hosts at the same moment gets one import from both."""
    key = IdempotencyKey(key="k", fingerprint="f")
    jobs = [(index, other)[number % 2].imports.submit(make(key=key), max_queued=99) for number in range(10)]
    assert len({record.id for record in await asyncio.gather(*jobs)}) == 1
    assert await index.imports.counts() == {"queued": 1}


async def test_the_queue_is_bounded_for_all_processes(index: Index, other: Index) -> None:
    """Twenty submissions race for five places in the queue: five have one, nothing is left of the rest."""
    jobs = [
        (index, other)[number % 2].imports.submit(make(number=number), max_queued=5) for number in range(20)
    ]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(result, QueueFull) for result in results) == 15
    assert await index.imports.counts() == {"queued": 5}
    assert len(await index.images.page(ADMIN, ImageQuery(limit=100))) == 5


async def test_a_requeued_import_is_claimed_anew(index: Index, other: Index) -> None:
    """Each claim has the next number; the run that lost its import changes nothing of it or its image."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    stale = await index.imports.claim(new.record.id, START)
    assert stale is not None
    assert await other.imports.requeue(new.record.id, START) == 2
    fresh = await other.imports.claim(new.record.id, START)
    assert fresh is not None
    assert fresh[0].claim == 3
    late = msgspec.structs.replace(stale[0], state=State.SUCCEEDED, ended_at=START)
    assert not await index.imports.activate(late, blob(), new.image, {})
    assert not await index.uploads.stage(late, blob())
    assert not await index.images.has_blob(blob().address)
    assert (await index.images.find(new.image.id, ALICE)).status is Status.IMPORTING
    done = msgspec.structs.replace(fresh[0], state=State.SUCCEEDED, ended_at=START)
    assert await other.imports.activate(done, blob(), new.image, {})
    assert await index.imports.requeue(new.record.id, START) == 0


async def test_progress_is_read_as_it_was_written(index: Index) -> None:
    """Every field of a running import comes back: attempts and hops, digests, stages, moments."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    hop = Hop(url="https://a.example/x", status=200, address="192.0.2.1", headers={"etag": '"v"'}, at=START)
    progress = msgspec.structs.replace(
        taken[0],
        phase=Phase.PULLING,
        received_bytes=2**40,
        expected_bytes=2**41,
        bytes_per_second=1.5,
        attempts=(Attempt(number=1, started_at=START, hops=(hop,), url="https://a.example/x"),),
        format=FormatVerdict(disk_format="raw", container_format="bare", name="Raw", facts={"a": [1, "ä"]}),
        digests={"sha256": "0" * 64},
        verified_by="submitter",
        sums_signature="good",
        length_verified=False,
        stages={"received": {"digests": {"md5": "1" * 32}}},
        updated_at=START + timedelta(microseconds=1),
    )
    assert await index.imports.record(progress)
    assert await index.imports.find(new.record.id, ALICE) == progress


async def test_an_activation_that_is_refused_leaves_nothing(index: Index) -> None:
    """The image was deleted by force meanwhile: no blob, no verdict, no provenance, and the run is told."""
    made = image()
    await index.images.create(made)
    new = make(image=made, record=msgspec.structs.replace(make().record, image_id=made.id, owns_image=False))
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    done = msgspec.structs.replace(taken[0], state=State.SUCCEEDED, ended_at=START)
    absent = msgspec.structs.replace(made, id="absent")
    with pytest.raises(Conflict):
        await index.imports.activate(done, blob(), absent, {"story": "told"})
    assert not await index.images.has_blob(blob().address)
    assert (await index.imports.find(new.record.id, ALICE)).state is State.RUNNING
    assert await index.imports.provenance(new.record.id, ALICE) is None


async def test_an_import_into_an_image_waits_for_a_queued_one(index: Index) -> None:
    """One import at a time brings an image's bytes; a failed one gives the image back, and says why in it."""
    made = image()
    await index.images.create(made)
    record = msgspec.structs.replace(make().record, image_id=made.id, owns_image=False)
    await index.imports.submit(make(image=made, record=record), max_queued=10)
    again = msgspec.structs.replace(record, id="again")
    with pytest.raises(Conflict):
        await index.imports.submit(make(image=made, record=again), max_queued=10)
    taken = await index.imports.claim(record.id, START)
    assert taken is not None
    verdict = Verdict(code="truncated", title="Too little came.")
    ended = msgspec.structs.replace(taken[0], state=State.FAILED, verdict=verdict, ended_at=START)
    assert await index.imports.end(ended, {})
    waiting = await index.images.find(made.id, ALICE)
    assert waiting.status is Status.QUEUED
    assert waiting.properties == {FAILED_IMPORT: "truncated: Too little came."}
    await index.imports.submit(make(image=made, record=again), max_queued=10)
    assert (await index.images.find(made.id, ALICE)).properties == {}


async def test_what_a_stage_suggests_gives_way_to_the_submitter(index: Index) -> None:
    """A descriptor's words fill gaps; the operator's rules override them, and forbid some."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    stages = {
        "suggested": {"properties": {"p": "theirs", "os": "linux", "bad": "x"}, "min_ram": 512},
        "injected": {"set": {"trait": "required"}, "forbid": ["bad"], "min_disk": 3},
    }
    done = msgspec.structs.replace(
        taken[0], state=State.SUCCEEDED, ended_at=START, stages=stages, length_verified=False
    )
    assert await index.imports.activate(done, blob(), new.image, {})
    made = await index.images.find(new.image.id, ALICE)
    assert made.properties == {"p": "v", "os": "linux", "trait": "required", "length_verified": "false"}
    assert (made.min_ram, made.min_disk) == (512, 3)


@pytest.mark.parametrize("name", FILTERS)
async def test_imports_are_filtered(index: Index, name: str) -> None:
    """Each filter leaves the imports that have the value, and none where nobody has it."""
    for new in (make(), make(BOB, number=1)):
        await index.imports.submit(new, max_queued=10)
    failed = make(number=2)
    await index.imports.submit(failed, max_queued=10)
    taken = await index.imports.claim(failed.record.id, START)
    assert taken is not None
    verdict = Verdict(code="truncated", title="Too little came.")
    await index.imports.end(
        msgspec.structs.replace(
            taken[0],
            state=State.FAILED,
            verdict=verdict,
            ended_at=START,
            attempts=(Attempt(number=1, started_at=START, code="source-status"),),
        ),
        {},
    )
    values = {
        "state": ("failed", 1),
        "code": ("truncated", 1),
        "method": ("web-download", 3),
        "image_id": (failed.image.id, 1),
        "user_id": ("b", 1),
        "attempt_code": ("source-status", 1),
    }
    value, count = values[name]
    assert len(await index.imports.page(ADMIN, {name: value}, limit=10)) == count
    assert await index.imports.page(ADMIN, {name: "nothing"}, limit=10) == []


async def test_a_page_holds_as_much_as_fits(index: Index) -> None:
    """A list of large records is cut short, and says so; one comes in any case."""
    for number in range(3):
        await index.imports.submit(make(number=number), max_queued=10)
    page = await index.imports.page(ALICE, {}, limit=3, max_bytes=1)
    assert (len(page), page.has_more) == (1, True)
    page = await index.imports.page(ALICE, {}, limit=3)
    assert (len(page), page.has_more) == (3, False)
    with pytest.raises(UnknownImport):
        await index.imports.page(BOB, {}, limit=3, marker=page[0].id)


async def test_what_really_happened_is_for_admins(index: Index) -> None:
    """A submitter is told less of a source inside; an admin reads the truth, and finds imports by it."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    told = Verdict(code="source-unreachable", title="It does not answer.")
    ended = msgspec.structs.replace(taken[0], state=State.FAILED, verdict=told, ended_at=START)
    assert await index.imports.end(ended, {"code": "address-forbidden", "message": "10.0.0.1"})
    truth = {"code": "address-forbidden", "message": "10.0.0.1"}
    assert await index.imports.truths(ADMIN, [new.record.id]) == {new.record.id: truth}
    assert await index.imports.truths(ALICE, [new.record.id]) == {}
    assert await index.imports.truths(ADMIN, []) == {}
    hidden = {"code": "address-forbidden"}
    assert [one.id for one in await index.imports.page(ADMIN, hidden, limit=5)] == [new.record.id]
    assert await index.imports.page(ALICE, hidden, limit=5) == []
    assert await index.imports.page(ADMIN, {"code": "connect-failed"}, limit=5) == []


async def test_what_attempts_really_ended_in_is_for_admins(index: Index) -> None:
    """Found by the code that its submitter is told, by whom may see it; by the true one, by admins."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    truth = {"code": "address-forbidden", "message": "10.0.0.1"}
    attempts = (
        Attempt(number=1, started_at=START, code="source-unreachable", truth=truth),
        Attempt(number=2, started_at=START, code="ok"),
    )
    assert await index.imports.record(msgspec.structs.replace(taken[0], attempts=attempts))
    for code, admin, owner in (
        ("address-forbidden", 1, 0),
        ("source-unreachable", 1, 1),
        ("ok", 1, 1),
        ("connect-failed", 0, 0),
        ("10.0.0.1", 0, 0),
    ):
        asked = {"attempt_code": code}
        assert len(await index.imports.page(ADMIN, asked, limit=5)) == admin, code
        assert len(await index.imports.page(ALICE, asked, limit=5)) == owner, code
