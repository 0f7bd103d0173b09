"""What is read on the way out: parts and wrappings add up, and damage is found before the end."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import BytesDamaged
from fetcher.exporter.layouts import around_disk
from fetcher.exporter.reading import Read, Reading


async def nobody(_count: int) -> None:
    """Do not follow."""


def reader(body: bytes, piece_bytes: int = 3) -> Read:
    async def read(offset: int, size: int) -> AsyncIterator[bytes]:
        part = body[offset : offset + size]
        for start in range(0, len(part), piece_bytes):
            yield part[start : start + piece_bytes]

    return read


def reading(body: bytes, digest_of: bytes | None = None) -> Reading:
    sha256 = hashlib.sha256(body if digest_of is None else digest_of).hexdigest()
    return Reading(reader(body), len(body), sha256, nobody)


async def sent(found: Reading, part_bytes: int) -> bytes:
    """All parts, each surveyed and then read."""
    return b"".join([b"".join([c async for c in found.part(p)]) async for p in found.parts(part_bytes)])


@given(st.binary(max_size=40), st.binary(max_size=9), st.binary(max_size=9), st.integers(1, 50))
def test_parts_of_what_stands_between_others_are_all_of_it(
    body: bytes, before: bytes, after: bytes, part_bytes: int
) -> None:
    """Wherever parts begin and end, before, in and after the image."""

    async def check() -> None:
        wrapped = await reading(body).between(before, after)
        whole = before + body + after
        assert (wrapped.size, wrapped.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
        assert await sent(wrapped, part_bytes) == whole
        assert await sent(reading(body), part_bytes) == body

    asyncio.run(check())


@pytest.mark.parametrize("part_bytes", [1, 4, 10, 100])
async def test_the_last_part_of_damaged_bytes_is_never_read(part_bytes: int) -> None:
    """Every part may be right for itself: the whole is judged before its last one goes."""
    found, gone = reading(b"0123456789", digest_of=b"another"), list[bytes]()

    async def send() -> None:
        async for part in found.parts(part_bytes):
            gone.extend([chunk async for chunk in found.part(part)])

    with pytest.raises(BytesDamaged):
        await send()
    assert len(b"".join(gone)) < 10
    with pytest.raises(BytesDamaged):
        await reading(b"0123456789", digest_of=b"another").between(b"a", b"b")


async def test_bytes_that_change_after_their_survey_do_not_arrive_whole() -> None:
    """They are digested once more while they are sent, and broken off before the last chunk."""
    body = bytearray(b"0123456789")

    async def read(offset: int, size: int) -> AsyncIterator[bytes]:
        for at in range(offset, offset + size):
            yield bytes(body[at : at + 1])

    found = Reading(read, 10, hashlib.sha256(body).hexdigest(), nobody)
    part = await found.survey(0, 10)
    body[0] = 0
    gone = list[bytes]()

    async def send() -> None:
        async for chunk in found.part(part):
            gone.append(chunk)

    with pytest.raises(BytesDamaged):
        await send()
    assert len(gone) == 9
    assert isinstance(found.failure, BytesDamaged)
    found.begin()
    assert found.failure is None


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 8 << 30, 1 << 40])
def test_tars_are_whole_blocks_for_disks_of_any_size(size: int) -> None:
    """Sizes that do not fit into eleven octal digits have a record of their own."""
    before, after = around_disk(size)
    assert (len(before) + size + len(after)) % 512 == 0
    assert len(after) >= 1024
