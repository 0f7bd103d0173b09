"""Signed statements: each image with a story has one, and a new story asks for a new one."""

import asyncio

import msgspec
import pytest

from fetcher.errors import UnknownImage
from fetcher.index.protocol import Index
from fetcher.index.values import Signed, Unsigned
from fetcher.lifecycle import State
from tests.index.conftest import ALICE, BOB, START, activate, blob, image, make


async def imported(index: Index) -> Unsigned:
    """An active image, as what is to be said of it."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    assert await activate(index, new)
    return Unsigned(image_id=new.image.id, import_id=new.record.id, story={"story": "told"})


async def test_a_story_is_signed_once(index: Index, other: Index) -> None:
    """It is unsigned until one of those who race has signed it, and whoever came late is told."""
    unsigned = await imported(index)
    assert await index.attestations.unsigned() == [unsigned]
    assert await index.attestations.find(unsigned.image_id) is None
    assert await index.attestations.page() == []
    jobs = [(index, other)[n % 2].attestations.keep(unsigned, "k", f"e{n}", START) for n in range(6)]
    kept = await asyncio.gather(*jobs)
    assert sum(kept) == 1
    signed = Signed(image_id=unsigned.image_id, key_id="k", envelope=f"e{kept.index(True)}")
    assert await other.attestations.find(unsigned.image_id) == signed
    assert await index.attestations.page() == [signed]
    assert await index.attestations.page(after=signed.image_id) == []
    assert await index.attestations.unsigned() == []


async def test_another_story_or_no_image_is_not_signed(index: Index) -> None:
    """What was signed of an import that is not the image's counts for nothing; an image takes its own."""
    unsigned = await imported(index)
    stale = msgspec.structs.replace(unsigned, import_id="another")
    assert not await index.attestations.keep(stale, "k", "e", START)
    await index.images.delete(unsigned.image_id, ALICE)
    assert not await index.attestations.keep(unsigned, "k", "e", START)
    assert await index.attestations.unsigned() == []


async def test_a_story_is_for_those_who_see_the_image(index: Index) -> None:
    """Another project's image does not exist, and one without bytes has no story."""
    unsigned, queued = await imported(index), image()
    await index.images.create(queued)
    assert await index.attestations.story(unsigned.image_id, ALICE) == unsigned
    assert await index.attestations.story(queued.id, ALICE) is None
    with pytest.raises(UnknownImage):
        await index.attestations.story(unsigned.image_id, BOB)


async def test_what_is_signed_already_is_written_with_the_image(index: Index) -> None:
    """Nothing is left to sign; an image that takes another story begins anew."""
    new = make()
    _written, claimed = await index.imports.begin(new, max_queued=10, now=START)
    assert claimed is not None
    done = msgspec.structs.replace(claimed.record, state=State.SUCCEEDED, ended_at=START)
    signed = Signed(image_id=new.image.id, key_id="k", envelope="e")
    assert await index.imports.activate(done, blob(), new.image, {"story": "told"}, signed)
    assert await index.attestations.find(new.image.id) == signed
    assert await index.attestations.unsigned() == []
