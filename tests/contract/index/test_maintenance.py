"""The store's maintenance: what is to be read again, files without a row, and what is old."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from fetcher.errors import BytesDamaged, Conflict, IdempotencyMismatch
from fetcher.index.protocol import Index
from fetcher.index.values import BlobState, IdempotencyKey
from fetcher.lifecycle import State
from fetcher.model import Image, Phase, Status
from tests.index.conftest import ALICE, BOB, START, activate, blob, make

SHA256 = blob().address
LATER = datetime.now(UTC) + timedelta(days=1)


async def filled(index: Index, names: str = "1") -> list[Image]:
    made = []
    for name in names:
        new = make()
        await index.imports.submit(new, max_queued=10)
        await activate(index, new, name)
        made.append(new.image)
    return made


async def test_blobs_are_paged_by_name(index: Index) -> None:
    """Each once, with its size and without a fault."""
    await filled(index, "321")
    states = [BlobState(address=name * 64, size=5, fault=None) for name in "123"]
    assert await index.maintenance.page(limit=2) == states[:2]
    assert await index.maintenance.page(after="2" * 64) == states[2:]
    assert await index.images.blobs(after="1" * 64, limit=1) == ["2" * 64]


async def test_the_blob_that_nobody_has_read_for_longest_is_due_first(index: Index) -> None:
    """Reading a blob puts it at the end; what was read since the moment is not due."""
    await filled(index, "12")
    await index.maintenance.mark("1" * 64, None, START + timedelta(days=2))
    due = await index.maintenance.due(START + timedelta(days=3))
    assert [state.address for state in due] == ["2" * 64, "1" * 64]
    due = await index.maintenance.due(START + timedelta(days=1))
    assert [state.address for state in due] == ["2" * 64]


async def test_a_fault_stays_until_the_bytes_are_whole(index: Index) -> None:
    """It refuses whoever reads them, is explained once, and both go when a reading finds the bytes whole."""
    await filled(index)
    assert await index.maintenance.mark(SHA256, "missing", START)
    with pytest.raises(BytesDamaged):
        await index.maintenance.check_whole(SHA256)
    await index.maintenance.explain(SHA256, "no source")
    faulty = BlobState(address=SHA256, size=5, fault="missing", note="no source")
    assert await index.maintenance.faulty() == [faulty]
    assert await index.maintenance.faulty(after=SHA256) == []
    assert await index.maintenance.find(SHA256) == faulty
    assert await index.maintenance.mark(SHA256, None, START)
    await index.maintenance.explain(SHA256, "too late")
    await index.maintenance.check_whole(SHA256)
    assert await index.maintenance.find(SHA256) == BlobState(address=SHA256, size=5, fault=None)


async def test_an_unknown_blob_has_no_state(index: Index) -> None:
    """It cannot be marked, and nothing stands in the way of reading it."""
    assert await index.maintenance.find(SHA256) is None
    assert not await index.maintenance.mark(SHA256, "missing", START)
    await index.maintenance.check_whole(SHA256)


async def test_whose_bytes_they_are(index: Index) -> None:
    """Images and their provenance, for who repairs and who tells."""
    made = [*await filled(index, "1"), *await filled(index, "1"), *await filled(index, "2")]
    assert sorted(await index.maintenance.images_of(SHA256)) == sorted(image.id for image in made[:2])
    assert await index.maintenance.sources(SHA256) == [{"story": "told"}] * 2


async def test_a_file_is_noted_before_it_may_appear(index: Index) -> None:
    """From the phase in which an import commits until its row is there; not while it commits."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    assert not await index.maintenance.is_loose(SHA256)
    committing = msgspec.structs.replace(taken[0], phase=Phase.COMMITTING, digests={"sha256": SHA256})
    assert await index.imports.record(committing)
    assert await index.maintenance.is_loose(SHA256)
    assert await index.maintenance.loose() == []
    assert await index.imports.record(msgspec.structs.replace(committing, phase=Phase.PULLING))
    [(sha256, noted_at)] = await index.maintenance.loose()
    assert sha256 == SHA256
    assert await index.maintenance.loose(noted_at) == []
    assert len(await index.maintenance.loose(LATER)) == 1
    await index.maintenance.settle(SHA256)
    assert not await index.maintenance.is_loose(SHA256)


async def test_a_row_that_appears_ends_the_note(index: Index) -> None:
    """And one that goes begins it again."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    committing = msgspec.structs.replace(taken[0], phase=Phase.COMMITTING, digests=blob().digests)
    await index.imports.record(committing)
    done = msgspec.structs.replace(committing, state=State.SUCCEEDED, phase=None, ended_at=START)
    assert await index.imports.activate(done, blob(), new.image, {})
    assert not await index.maintenance.is_loose(SHA256)
    assert not await index.maintenance.disown(SHA256)
    await index.images.delete(new.image.id, ALICE)
    assert await index.maintenance.is_loose(SHA256)
    assert await index.maintenance.disown(SHA256)


async def test_whoever_brings_equal_bytes_heals_them(index: Index) -> None:
    """A blob that was marked as damaged is whole again with the row of the import that brought it anew."""
    for _turn in range(2):
        new = make()
        await index.imports.submit(new, max_queued=10)
        assert await activate(index, new)
        state = await index.maintenance.find(SHA256)
        assert state is not None
        assert state.fault is None
        assert await index.maintenance.mark(SHA256, "corrupt", START)
        await index.maintenance.explain(SHA256, "gone at the source")


async def forget(index: Index, before: datetime, most: int = 1000) -> int:
    return await index.maintenance.forget(
        audit_before=before, keys_before=before, retired_before=before, most=most
    )


async def test_what_is_old_is_forgotten(index: Index) -> None:
    """Keys may be used anew, ids too, and so many rows go at once; nothing goes that is young."""
    key = IdempotencyKey(key="k", fingerprint="f")
    new = make(key=key)
    await index.imports.submit(new, max_queued=10)
    await activate(index, new)
    await index.images.delete(new.image.id, ALICE)
    again = msgspec.structs.replace(new.image, status=Status.QUEUED)
    with pytest.raises(Conflict):
        await index.images.create(again)
    assert await forget(index, START - timedelta(days=1)) == 0
    with pytest.raises(IdempotencyMismatch):
        await index.imports.submit(make(key=IdempotencyKey(key="k", fingerprint="g")), max_queued=10)
    assert await forget(index, LATER, most=1) == 3
    assert await forget(index, LATER) == 2
    assert await forget(index, LATER) == 0
    await index.images.create(again)
    await index.imports.submit(make(key=IdempotencyKey(key="k", fingerprint="g")), max_queued=10)


async def test_a_whole_index_says_so(index: Index) -> None:
    """A fresh index is checked, can be written, and has nothing to complain of."""
    assert index.maintenance.is_checked
    assert await index.maintenance.probe(1.0) == []
    assert await index.maintenance.damage() == []
    assert await index.maintenance.complaints() == []
    assert min([0, *index.file_bytes().values()]) == 0


async def test_equal_bytes_share_a_blob_across_projects(index: Index) -> None:
    """The last image that needs bytes takes them along, whoever it belongs to."""
    made = []
    for actor in (ALICE, BOB):
        new = make(actor)
        await index.imports.submit(new, max_queued=10)
        await activate(index, new)
        made.append(new.image)
    assert await index.images.delete(made[0].id, ALICE) is None
    assert await index.images.delete(made[1].id, BOB) == SHA256
