"""`s3://` as a receiver: one PUT, or parts that are gone on from; nothing unfinished stays there."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.exporter.buckets import Bucket, error
from tests.exporter.places import image_for, sender
from tests.exporter.server import Answer, Server
from tests.exporter.test_put import IMAGE, ended, push
from tests.images import raw
from tests.lab.bucket import KEYS, BucketServer

MIB = 1 << 20
LARGE = raw(12 * MIB)
PARTS = {"part_bytes": 5 * MIB, "parts_at_once": 1}  # So that the order of requests is known.
OPEN = {"access_key_id": "AKIALAB", "secret_access_key": "hush"}


def bucket_of(server: Server, **more: Any) -> dict[str, Any]:
    """How an export names it."""
    return {"url": "s3://images/a/disk.img", "s3": {"endpoint": server.base, **OPEN}, **more}


async def pushed(service: Any, image_id: str, **fields: Any) -> dict[str, Any]:
    """Submit an export and wait for its end."""
    url = fields.pop("url")
    return await ended(service, (await push(service, image_id, url, **fields))["id"])


async def test_a_real_server_of_buckets_takes_both_ways(tmp_path: Path, bucket_server: BucketServer) -> None:
    """Small in one request, large in parts, read back; equal objects are found, others kept unless asked."""
    endpoint = {"endpoint": bucket_server.endpoint, **KEYS}
    for name, body in (("small", IMAGE), ("large", LARGE)):
        (tmp_path / name).mkdir()
        async with image_for(tmp_path / name, body, bucket_server, **PARTS | {"parts_at_once": 4}) as (
            service,
            image_id,
        ):
            fields = {"url": f"s3://images/{name} (1).img", "s3": endpoint, "verify": True}
            done = await pushed(service, image_id, **fields)
            assert done["state"] == "succeeded", done["verdict"]
            assert done["read_back"] == {"result": "matched", "reason": ""}
            assert done["answer"].get("parts") == (None if name == "small" else "3")
            assert done["receiver"] == f"{bucket_server.endpoint}/images/{name}%20%281%29.img"
            again = await pushed(service, image_id, **fields)
            assert (again["state"], again["answer"]["found"]) == ("succeeded", "equal")
            assert bucket_server.put("images", "taken.img", b"somebody else's") == 200
            kept = await pushed(service, image_id, **fields | {"url": "s3://images/taken.img"})
            assert (kept["state"], kept["verdict"]["code"]) == ("failed", "receiver-refused")
            fields |= {"url": "s3://images/taken.img", "replace": True}
            assert (await pushed(service, image_id, **fields))["state"] == "succeeded"
            wrong = {**fields, "s3": endpoint | {"secret_access_key": "wrong"}}
            refused = await pushed(service, image_id, **wrong)
            assert refused["verdict"]["code"] in {"bucket-refused", "source-status"}
            assert "wrong" not in str(refused)


async def test_what_is_sent_is_signed_digested_and_named(tmp_path: Path) -> None:
    """Each request has its signature and digest; a submitter's fields go with the object's first request."""
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        headers = {"x-amz-storage-class": "COLD", "Content-Type": "application/x-qemu-disk"}
        done = await pushed(service, image_id, **bucket_of(server, headers=headers))
        assert done["state"] == "succeeded", done["verdict"]
        assert bucket.objects == {"/images/a/disk.img": IMAGE}
        assert server.lines() == ["HEAD /images/a/disk.img", "PUT /images/a/disk.img"]
        sent = server.asked[1].headers
        assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIALAB/")
        assert "x-amz-storage-class" in sent["authorization"]
        assert sent["x-amz-content-sha256"] == sent["x-amz-meta-sha256"] == done["digests"]["sha256"]
        assert (sent["if-none-match"], sent["content-type"]) == ("*", "application/x-qemu-disk")
        assert "x-amz-storage-class" not in server.asked[0].headers
        assert "hush" not in str(done)


async def test_a_part_that_fails_is_sent_again_and_no_other(tmp_path: Path) -> None:
    """Attempts that bring parts count as no failure; those that were answered are never sent twice."""
    bucket = Bucket()
    bucket.faults["PUT partNumber uploadId"] = [None, error("SlowDown", 503), None]
    async with bucket.server() as server, image_for(tmp_path, LARGE, server, **PARTS) as (service, image_id):
        bucket.faults["PUT partNumber uploadId"].insert(0, bucket_honest(bucket))
        done = await pushed(service, image_id, **bucket_of(server))
        assert done["state"] == "succeeded", done["verdict"]
        assert bucket.objects == {"/images/a/disk.img": LARGE}
        numbers = [asked.query["partNumber"] for asked in server.asked if "partNumber" in asked.query]
        assert numbers == ["1", "2", "2", "2", "2", "3"]
        assert done["answer"]["etag"] == '"whole-3"'
        assert not bucket.uploads


def bucket_honest(bucket: Bucket) -> Any:
    async def answer(asked: Any) -> Answer:
        return bucket.answer(asked)

    return answer


async def test_a_restart_goes_on_after_the_last_whole_part(tmp_path: Path) -> None:
    """What a stopped process has sent stays at the bucket and is not sent by the next one."""
    bucket = Bucket()
    stuck = asyncio.Event()

    async def hang(_asked: Any) -> Answer:
        stuck.set()
        await asyncio.Event().wait()
        raise AssertionError

    bucket.faults["PUT partNumber uploadId"] = [bucket_honest(bucket), hang]
    async with bucket.server() as server:
        async with image_for(tmp_path, LARGE, server, **PARTS) as (service, image_id):
            export = await push(service, image_id, **bucket_of(server))
            await stuck.wait()
        assert bucket.dropped == []
        async with sender(tmp_path, server, **PARTS) as service:
            done = await ended(service, export["id"])
        assert (done["state"], bucket.objects["/images/a/disk.img"] == LARGE) == ("succeeded", True)
        numbers = [asked.query["partNumber"] for asked in server.asked if "partNumber" in asked.query]
        assert numbers == ["1", "2", "2", "3"]
        assert len([line for line in server.lines("POST") if "uploads" in line]) == 1


@pytest.mark.parametrize("how", ["cancel", "cancel after a restart", "fail"])
async def test_an_upload_that_comes_to_nothing_is_dropped(tmp_path: Path, how: str) -> None:
    """Parts cost their owner money until somebody drops them: a cancelled or failed export does."""
    bucket = Bucket()
    stuck = asyncio.Event()

    async def hang(_asked: Any) -> Answer | None:
        stuck.set()
        await asyncio.Event().wait()
        raise AssertionError

    fault = error("AccessDenied", 403) if how == "fail" else hang
    bucket.faults["PUT partNumber uploadId"] = [bucket_honest(bucket), fault]
    async with bucket.server() as server:
        async with image_for(tmp_path, LARGE, server, **PARTS) as (service, image_id):
            export = await push(service, image_id, **bucket_of(server))
            if how == "fail":
                done = await ended(service, export["id"])
                assert done["verdict"]["code"] == "bucket-refused"
            else:
                await stuck.wait()
            if how == "cancel":
                status, _, _ = await service.call("DELETE", f"/exports/{export['id']}")
                assert status == 204
        if how == "cancel after a restart":
            async with sender(tmp_path, server, max_running_per_project=1, **PARTS) as service:
                stuck.clear()
                bucket.faults["PUT partNumber uploadId"] = [hang]
                status, _, _ = await service.call("DELETE", f"/exports/{export['id']}")
                assert status == 204
        assert bucket.uploads == {}
        assert len(bucket.dropped) == 1
        assert bucket.objects == {}


BAD_ENDS = [
    ("POST uploadId", [error("InternalError", 200)] * 3, "receiver-refused"),
    ("POST uploadId", [Answer(body=b"   "), Answer(body=b"<html>"), Answer()], "receiver-refused"),
    ("POST uploads", [Answer(body=b"<a/>")], "bad-response"),
    ("POST uploads", [Answer(body=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")], "bad-response"),
    ("PUT partNumber uploadId", [Answer()], "bad-response"),
    ("PUT partNumber uploadId", [Answer(headers={"ETag": 'x"<b>'})], "bad-response"),
]


async def test_an_answer_that_is_none_is_no_success(tmp_path: Path) -> None:
    """A status of success is not believed where the body says otherwise; nothing is left there."""
    bucket = Bucket()
    async with (
        bucket.server() as server,
        image_for(tmp_path, LARGE, server, attempts=2, **PARTS) as (service, image_id),
    ):
        for key, answers, code in BAD_ENDS:
            bucket.faults = {key: list(answers)}
            done = await pushed(service, image_id, **bucket_of(server))
            assert (done["state"], done["verdict"]["code"]) == ("failed", code), (key, answers, done)
            assert (bucket.uploads, bucket.objects) == ({}, {}), (key, answers)


async def test_lost_answers_and_lost_uploads_are_found_out(tmp_path: Path) -> None:
    """A completion whose answer was lost has succeeded; parts that the bucket dropped are sent anew."""
    bucket = Bucket()

    async def take_and_break(asked: Any) -> None:
        bucket.answer(asked)

    async def drop(asked: Any) -> Answer:
        bucket.uploads.clear()
        return bucket.answer(asked)

    bucket.faults["PUT partNumber uploadId"] = [bucket_honest(bucket), drop]
    bucket.faults["POST uploadId"] = [take_and_break]
    async with bucket.server() as server, image_for(tmp_path, LARGE, server, **PARTS) as (service, image_id):
        done = await pushed(service, image_id, **bucket_of(server))
        assert (done["state"], done["answer"].get("found")) == ("succeeded", "equal"), done
        numbers = [asked.query["partNumber"] for asked in server.asked if "partNumber" in asked.query]
        assert numbers == ["1", "2", "1", "2", "3"]
        assert bucket.objects == {"/images/a/disk.img": LARGE}


async def test_a_bucket_elsewhere_is_followed_only_where_something_may_be_sent(tmp_path: Path) -> None:
    """A redirect of the service to another region is signed anew; one to another host ends it."""
    bucket = Bucket()
    bucket.faults["HEAD"] = [Answer(status=400, headers={"x-amz-bucket-region": "eu-west-1"})]
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        done = await pushed(service, image_id, **bucket_of(server))
        assert done["state"] == "succeeded", done["verdict"]
        assert "/eu-west-1/s3/" in server.asked[-1].headers["authorization"]


NEVER: list[tuple[dict[str, Any], str | None]] = [
    ({"s3": {"endpoint": "BASE"}}, "s3.access_key_id"),
    ({"url": "s3://images"}, None),
    ({"url": "s3://images/a?versionId=x"}, None),
    ({"s3": {"endpoint": "http://127.0.0.9:1", **OPEN}}, None),
]


async def test_what_can_never_be_sent_is_refused_at_once(tmp_path: Path) -> None:
    """No keys, no key, a version, another host: nobody is asked."""
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        for fields, field in NEVER:
            body = {"image": image_id, **bucket_of(server), **fields}
            if body["s3"]["endpoint"] == "BASE":
                body["s3"] = {"endpoint": server.base}
            status, problem, _ = await service.call("POST", "/exports", json=body)
            assert status in {400, 403}, problem
            assert problem.get("field") == field
        assert server.asked == []


@pytest.mark.parametrize("is_keeping", [False, True])
async def test_digests_of_parts_are_repeated_to_servers_that_keep_them(
    tmp_path: Path, is_keeping: bool
) -> None:
    """Who answers with a part's digest wants it in the completion; who does not may know no such element."""
    bucket = Bucket()

    async def keep(asked: Any) -> Answer:
        answer = bucket.answer(asked)
        told = asked.headers["x-amz-checksum-sha256"]
        return Answer(headers=answer.headers | ({"x-amz-checksum-sha256": told} if is_keeping else {}))

    bucket.faults["PUT partNumber uploadId"] = [keep] * 3
    async with bucket.server() as server, image_for(tmp_path, LARGE, server, **PARTS) as (service, image_id):
        assert (await pushed(service, image_id, **bucket_of(server)))["state"] == "succeeded"
        completions = [asked.body for asked in server.asked if asked.body.startswith(b"<?xml")]
        assert [body.count(b"<ChecksumSHA256>") for body in completions] == [3 if is_keeping else 0]
