"""Parts that are sent at the same time: how many, what becomes of others when one fails, and memory."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fetcher.errors import BytesDamaged, InvalidUrl, SourceStatus
from fetcher.exporter.parts import several
from fetcher.exporter.reading import Part, Reading
from tests.exporter.buckets import Bucket, error
from tests.exporter.places import image_for, sender
from tests.exporter.server import Answer, Asked, number_of
from tests.exporter.test_put import ended, push
from tests.exporter.test_reading import nobody, reading
from tests.exporter.test_s3 import MIB, bucket_of
from tests.exporter.test_signed_parts import uploading
from tests.images import raw

HUGE = raw(22 * MIB)  # Five parts, the last of them short.
PARTS = {"part_bytes": 5 * MIB}


class Slow(Bucket):
    """A bucket that answers no part until as many are on their way as the test wants.

    Attributes:
        most: That were on their way at the same time.
    """

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted, self.now, self.most = wanted, 0, 0
        self.are_there = asyncio.Event()

    async def handle(self, asked: Asked) -> Answer | None:
        """Hold parts back."""
        if asked.method != "PUT":
            return await super().handle(asked)
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now >= self.wanted:
            self.are_there.set()
        try:
            await self.are_there.wait()
            return await super().handle(asked)
        finally:
            self.now -= 1


@pytest.mark.parametrize("kind", ["keys", "signed"])
async def test_as_many_parts_are_on_their_way_as_the_operator_allows(tmp_path: Path, kind: str) -> None:
    """And no more; the object is whole, in order; progress ends at all of it, and the limit is public."""
    bucket = Slow(3)
    bucket.uploads["u"] = {}
    async with (
        bucket.server() as server,
        image_for(tmp_path, HUGE, server, parts_at_once=3, **PARTS) as (service, image_id),
    ):
        fields = bucket_of(server) if kind == "keys" else uploading(server, 5)
        done = await ended(service, (await push(service, image_id, **fields))["id"])
        assert done["state"] == "succeeded", done["verdict"]
        assert (bucket.most, list(bucket.objects.values()) == [HUGE]) == (3, True)
        assert done["progress"] == {"sent_bytes": len(HUGE), "size": len(HUGE), "percent": 100}
        assert (await service.get("/limits"))["limits"]["export_parts_at_once"]["value"] == 3


@pytest.mark.parametrize("kind", ["keys", "signed"])
async def test_parts_beside_one_that_fails_are_not_sent_again(tmp_path: Path, kind: str) -> None:
    """The third is turned away while its neighbours are on their way: they arrive, and count later."""
    bucket = Slow(4)
    bucket.uploads["u"] = {}
    turned_away: list[int] = []

    async def third_fails(asked: Asked) -> Answer:
        if number_of(asked) == 3 and not turned_away:
            turned_away.append(3)
            return error("SlowDown", 503)
        return bucket.answer(asked)

    for key in ("PUT partNumber uploadId", "PUT partNumber sig uploadId"):
        bucket.faults[key] = [third_fails] * 20
    async with bucket.server() as server, image_for(tmp_path, HUGE, server, **PARTS) as (service, image_id):
        fields = bucket_of(server) if kind == "keys" else uploading(server, 5)
        done = await ended(service, (await push(service, image_id, **fields))["id"])
        assert (done["state"], len(done["attempts"])) == ("succeeded", 2), done["verdict"]
        numbers = [number_of(asked) for asked in server.asked if asked.method == "PUT"]
        assert sorted(numbers) == [1, 2, 3, 3, 4, 5]
        assert list(bucket.objects.values()) == [HUGE]


async def test_a_restart_sends_only_the_parts_that_were_not_answered(tmp_path: Path) -> None:
    """Whichever they are: the second hangs while the third and the fourth are answered."""
    bucket, answered = Bucket(), asyncio.Event()
    is_over = False

    async def second_hangs(asked: Asked) -> Answer:
        if number_of(asked) == 2 and not is_over:
            await asyncio.Event().wait()
        answer = bucket.answer(asked)
        if set(bucket.uploads.get("up/0+x", ())) >= {1, 3, 4, 5}:
            answered.set()
        return answer

    bucket.faults["PUT partNumber uploadId"] = [second_hangs] * 20
    async with bucket.server() as server:
        async with image_for(tmp_path, HUGE, server, parts_at_once=2, **PARTS) as (service, image_id):
            export = await push(service, image_id, **bucket_of(server, url="s3://images/big"))
            await answered.wait()
        is_over = True
        before = len(server.asked)
        async with sender(tmp_path, server, **PARTS) as service:
            done = await ended(service, export["id"])
        assert done["state"] == "succeeded", done["verdict"]
        again = [number_of(asked) for asked in server.asked[before:] if asked.method == "PUT"]
        assert (2 in again, 1 in again, len(again) < 5) == (True, False, True)
        assert bucket.objects["/images/big"] == HUGE


async def several_of(found: Reading, at_once: int, send: Any) -> None:
    """Send them in parts of two bytes."""
    await several(found.parts(2), at_once, send)


async def test_what_may_pass_lets_others_arrive_and_what_may_not_ends_them() -> None:
    """A busy receiver takes what is on its way; one that refuses, and damaged bytes, end all at once."""
    for failure, arrives in ((SourceStatus(status=503), True), (InvalidUrl(reason="x", rule="x"), False)):
        gone, begun, may_arrive = list[int](), list[int](), asyncio.Event()

        async def send(
            part: Part,
            failure: Exception = failure,
            gone: list[int] = gone,
            begun: list[int] = begun,
            may_arrive: asyncio.Event = may_arrive,
        ) -> None:
            begun.append(part.offset)
            if part.offset == 2:
                asyncio.get_running_loop().call_later(0.05, may_arrive.set)
                raise failure
            await may_arrive.wait()
            gone.append(part.offset)

        with pytest.raises(type(failure)):
            await several_of(reading(b"0123456789"), 3, send)
        assert (2 in begun, gone == [0, 4][: len(begun) - 1] if arrives else gone == []) == (True, True)

    async def hang(_part: Part) -> None:
        await asyncio.Event().wait()

    with pytest.raises(BytesDamaged):
        await several_of(reading(b"0123456789", digest_of=b"other"), 9, hang)
    assert len(asyncio.all_tasks()) == 1


async def test_parts_are_not_held_in_memory() -> None:
    """Four parts of 16 MiB on their way hold a few chunks each, however slowly they are taken."""
    size, chunk = 64 * MIB, bytes(MIB // 4)

    async def read(_offset: int, length: int) -> AsyncIterator[bytes]:
        for _ in range(length // len(chunk)):
            yield bytes(len(chunk))

    digest = hashlib.sha256()
    for _ in range(size // len(chunk)):
        digest.update(chunk)
    found = Reading(read, size, digest.hexdigest(), nobody)
    taken = 0

    async def send(part: Part) -> None:
        nonlocal taken
        async for piece in found.part(part):
            taken += len(piece)
            await asyncio.sleep(0)

    tracemalloc.start()
    try:
        await several(found.parts(16 * MIB), 4, send)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken == size
    assert peak < 6 * MIB, peak
