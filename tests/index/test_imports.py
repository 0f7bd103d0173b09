"""Imports in the index: one transaction a verb, fenced by claims, scoped to projects."""

from datetime import timedelta

import msgspec
import pytest

from fetcher.errors import Conflict, IdempotencyMismatch, QueueFull, UnknownImage, UnknownImport
from fetcher.index import Index
from fetcher.index.values import IdempotencyKey, ImageQuery, Secrets
from fetcher.lifecycle import State
from fetcher.model import Status, Verdict
from tests.index.conftest import ADMIN, ALICE, BOB, START, activate, make


async def test_a_submission_is_found_by_its_project_only(index: Index) -> None:
    """Another project's import does not exist; an admin sees all."""
    new = make()
    written = await index.imports.submit(new, max_queued=10)
    assert await index.imports.find(new.record.id, ALICE) == written
    assert await index.imports.find(new.record.id, ADMIN) == written
    with pytest.raises(UnknownImport):
        await index.imports.find(new.record.id, BOB)
    assert (await index.images.find(new.image.id, ALICE)).properties == {"p": "v"}


async def test_secrets_stay_apart_and_go_with_the_end(index: Index) -> None:
    """The URL's password is in one row, and in none once the import has ended."""
    new = make()
    written = await index.imports.submit(new, max_queued=10)
    assert "secret@" not in msgspec.json.encode(written).decode()
    claimed = await index.imports.claim(new.record.id, START)
    assert claimed is not None
    assert claimed[1] == Secrets(url="https://u:secret@a.example/x")
    failed = msgspec.structs.replace(claimed[0], state=State.FAILED, ended_at=START)
    assert await index.imports.end(failed, {})
    everything = await index.connection.read(lambda db: "\n".join(db.conn.iterdump()))
    assert "secret@" not in everything


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
    assert [record.id for record, _ in await index.recovery.left_behind()] == [old.record.id, young.record.id]
    assert await index.imports.counts() == {"queued": 2}
