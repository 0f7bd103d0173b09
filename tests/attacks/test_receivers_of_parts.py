"""Receivers that are sent several parts at once, and lie about them, hold them, or lead them elsewhere."""

import asyncio
from pathlib import Path

import pytest

from tests.attacks.test_receivers import left
from tests.exporter.buckets import Bucket
from tests.exporter.places import image_for
from tests.exporter.server import Answer, Asked, Server, number_of
from tests.exporter.test_put import IMAGE
from tests.exporter.test_s3 import LARGE, MIB, bucket_of, pushed
from tests.exporter.test_signed_parts import uploading
from tests.lab.canary import Canary

PARTS = {"part_bytes": 5 * MIB, "parts_at_once": 3, "attempts": 1}


@pytest.mark.parametrize("kind", ["keys", "signed"])
async def test_e15_parts_that_are_praised_before_they_came_are_no_parts(tmp_path: Path, kind: str) -> None:
    """Two of three are answered with success at their head: nothing is completed, and all is dropped."""
    bucket = Bucket()
    bucket.uploads["u"] = {}

    def early(asked: Asked) -> Answer | None:
        is_part = asked.method == "PUT" and number_of(asked) != 2
        return Answer(headers={"ETag": '"x"'}) if is_part else None

    async with Server(bucket.handle, early) as server, image_for(tmp_path, LARGE, server, **PARTS) as there:
        service, image_id = there
        done = await pushed(
            service, image_id, **(bucket_of(server) if kind == "keys" else uploading(server, 3))
        )
        assert (done["state"], done["verdict"]["code"]) == ("failed", "bad-response"), done["verdict"]
        assert (bucket.objects, bucket.uploads.get("up/1+x")) == ({}, None)
        assert not [line for line in server.lines("POST") if "uploads" not in line]


async def test_e16_parts_that_nobody_reads_are_given_up_together(tmp_path: Path) -> None:
    """Three stand still side by side: it costs the patience for one, and no connection stays."""
    bucket = Bucket()
    bucket.uploads["u"] = {}

    def deaf(asked: Asked) -> bytes | None:
        return b"" if asked.method == "PUT" else None

    async with (
        Server(bucket.handle, deaf) as server,
        image_for(tmp_path, LARGE, server, stall_seconds=2.0, **PARTS) as (service, image_id),
    ):
        done = await pushed(service, image_id, **uploading(server, 3))
        assert done["verdict"]["code"] == "source-too-slow", done["verdict"]
        assert len(server.lines("PUT")) == 3
        assert (left(service), bucket.dropped) == ([], ["u"])


async def test_e17_a_part_that_is_led_elsewhere_takes_no_other_with_it(tmp_path: Path) -> None:
    """A redirect of one part is followed nowhere, also to another region; what was begun is dropped."""
    async with Canary() as canary:
        for number, fields in enumerate(
            (
                {"Location": f"http://{canary.host}:{canary.port}/"},
                {"Location": f"http://{canary.host}:{canary.port}/", "x-amz-bucket-region": "../evil"},
                {"x-amz-bucket-region": "a.evil.example"},
            )
        ):
            bucket, folder = Bucket(), tmp_path / str(number)
            folder.mkdir()

            async def lead(asked: Asked, bucket: Bucket = bucket, fields: dict[str, str] = fields) -> Answer:
                return Answer(status=307, headers=fields) if number_of(asked) == 2 else bucket.answer(asked)

            bucket.faults["PUT partNumber uploadId"] = [lead] * 9
            async with (
                bucket.server() as server,
                image_for(folder, LARGE, server, **PARTS) as (service, image_id),
            ):
                done = await pushed(service, image_id, **bucket_of(server))
                assert done["state"] in {"failed", "refused"}, done["verdict"]
                assert (bucket.objects, bucket.uploads, len(bucket.dropped)) == ({}, {}, 1)
        assert canary.accepted == 0


async def test_e18_two_parts_never_go_to_one_place(tmp_path: Path) -> None:
    """A URL that stands twice would have one part over the other: nobody is asked."""
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        body = uploading(server, 3)
        body["parts"]["urls"][2] = body["parts"]["urls"][0]
        status, problem, _ = await service.call("POST", "/exports", json={"image": image_id, **body})
        assert (status, problem.get("field")) == (400, "parts.urls"), problem
        assert server.asked == []


async def test_e19_a_bucket_that_drops_the_upload_again_and_again_ends(tmp_path: Path) -> None:
    """Parts that are taken and forgotten are no progress for ever: attempts run out, and nothing is left."""
    bucket = Bucket()

    async def forget(asked: Asked) -> Answer:
        answer = bucket.answer(asked)
        if number_of(asked) == 2:
            bucket.uploads.clear()
            return Answer(status=404)
        return answer

    bucket.faults["PUT partNumber uploadId"] = [forget] * 1_000
    async with (
        bucket.server() as server,
        image_for(tmp_path, LARGE, server, **PARTS | {"attempts": 3}) as (service, image_id),
    ):
        async with asyncio.timeout(90):
            done = await pushed(service, image_id, **bucket_of(server))
        assert (done["state"], done["verdict"]["code"]) == ("failed", "receiver-refused")
        assert len(done["attempts"]) <= 6, len(done["attempts"])
        assert bucket.objects == {}
