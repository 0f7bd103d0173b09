"""Blobs whose address is one digest or another: what finds them, and digests that come later."""

from functools import partial

import msgspec

from fetcher.index.protocol import Index
from fetcher.model import Blob, Phase
from tests.index.conftest import ALICE, START, activate, blob, make

SHORT, LONG = "1" * 64, "1" * 128


def long_blob(**digests: str) -> Blob:
    """Bytes that were committed under their sha512."""
    return Blob(address=LONG, size=5, digests={"sha512": LONG, **digests}, created_at=START)


async def fill(index: Index, given: Blob) -> str:
    """Make an image with these bytes; its id is returned."""
    new = make()
    await index.imports.submit(new, max_queued=10)
    await activate(index, new, given)
    return new.image.id


async def announced(index: Index, digests: dict[str, str]) -> list[str]:
    """Announce bytes with these digests; what they are known as is returned."""
    new = make()
    await index.imports.submit(new, max_queued=100)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    return await index.imports.announce(msgspec.structs.replace(taken[0], digests=digests))


async def test_bytes_are_known_by_each_of_their_strong_digests(index: Index) -> None:
    """By the address and by the other digest, in both directions; weak ones and other bytes find nothing."""
    await fill(index, blob("1"))
    await fill(index, Blob(address="2" * 128, size=5, digests={"sha512": "2" * 128}, created_at=START))
    known = partial(announced, index)
    assert await known({"sha256": SHORT}) == await known({"sha512": LONG}) == [SHORT]
    assert await known({"sha512": "2" * 128, "sha256": "9" * 64}) == ["2" * 128]
    assert await known({"sha256": "2" * 64}) == []
    assert await index.maintenance.add_digests("2" * 128, {"sha256": "2" * 64})
    assert await known({"sha256": "2" * 64}) == ["2" * 128]
    assert await known({"md5": "1" * 32}) == await known({}) == []
    assert await known({"sha256": SHORT, "sha512": "2" * 128}) == [SHORT, "2" * 128]


async def test_an_announcement_tells_what_the_bytes_are_known_as(index: Index) -> None:
    """The import's row names the blob that is about to appear, and its writer learns of one that is there."""
    await fill(index, long_blob(sha256=SHORT))
    new = make()
    await index.imports.submit(new, max_queued=10)
    taken = await index.imports.claim(new.record.id, START)
    assert taken is not None
    for address, digests, known in (
        ("3" * 64, {"sha256": "3" * 64}, []),
        (SHORT, {"sha256": SHORT, "md5": "1" * 32}, [LONG]),
    ):
        there = msgspec.structs.replace(
            taken[0], phase=Phase.COMMITTING, address=address, digests=digests, updated_at=START
        )
        assert await index.imports.announce(there) == known
        assert (await index.imports.find(new.record.id, ALICE)).address == address
    lost = msgspec.structs.replace(taken[0], claim=taken[0].claim + 1, address="4" * 64)
    await index.imports.announce(lost)
    assert (await index.imports.find(new.record.id, ALICE)).address == SHORT


async def test_digests_are_added_and_shown(index: Index) -> None:
    """What is known stays, what is new is there for images, and for who asks by it."""
    image_id = await fill(index, long_blob())
    found = await index.images.find(image_id, ALICE)
    assert (found.address, found.sha256, found.sha512, found.md5) == (LONG, None, LONG, None)
    assert await index.maintenance.add_digests(LONG, {"sha256": SHORT, "md5": "1" * 32, "sha512": "0" * 128})
    assert await index.maintenance.digests(LONG) == {"sha256": SHORT, "md5": "1" * 32, "sha512": LONG}
    found = await index.images.find(image_id, ALICE)
    assert (found.address, found.sha256, found.sha512, found.md5) == (LONG, SHORT, LONG, "1" * 32)
    assert (await index.images.line(image_id, ALICE)).md5 == "1" * 32
    assert not await index.maintenance.add_digests("3" * 64, {"md5": "3" * 32})
    assert await index.maintenance.digests("3" * 64) is None


async def test_bytes_that_come_again_bring_their_digests(index: Index) -> None:
    """An import that computed more than the first one leaves it with the blob."""
    await fill(index, long_blob())
    await fill(index, long_blob(sha256=SHORT, md5="1" * 32))
    await fill(index, long_blob())
    assert await index.maintenance.digests(LONG) == {"sha256": SHORT, "md5": "1" * 32, "sha512": LONG}
    assert [one.address for one in await index.maintenance.page()] == [LONG]


async def test_what_lacks_a_digest_is_told_in_pages(index: Index) -> None:
    """Blobs that are damaged are not: nothing can be computed of them."""
    await fill(index, blob("1"))
    for name in "234":
        await fill(index, Blob(address=name * 128, size=5, digests={"sha512": name * 128}, created_at=START))
    lacking = index.maintenance.lacking
    assert [one.address for one in await lacking(["sha256"], limit=2)] == ["2" * 128, "3" * 128]
    assert [one.address for one in await lacking(["sha256"], after="3" * 128)] == ["4" * 128]
    assert await lacking(["sha512"]) == []
    await index.maintenance.mark("3" * 128, "corrupt", START)
    await index.maintenance.add_digests("2" * 128, {"sha256": "2" * 64})
    assert [one.address for one in await lacking(["sha512", "sha256"])] == ["4" * 128]
    assert len(await lacking(["sha384"])) == 3


async def test_the_announced_address_is_noted(index: Index) -> None:
    """Of the digests of an import that commits, the one that names the file; without it, the sha256."""
    for address, digests in ((LONG, blob().digests), (None, {"sha256": "2" * 64})):
        new = make()
        await index.imports.submit(new, max_queued=10)
        taken = await index.imports.claim(new.record.id, START)
        assert taken is not None
        committing = msgspec.structs.replace(
            taken[0], phase=Phase.COMMITTING, digests=digests, address=address
        )
        assert await index.imports.record(committing)
        kept = await index.imports.find(new.record.id, ALICE)
        assert kept.announced == (address or "2" * 64)
        assert await index.maintenance.is_loose(kept.announced or "")
        assert await index.maintenance.loose() == []
    assert not await index.maintenance.is_loose(SHORT)
