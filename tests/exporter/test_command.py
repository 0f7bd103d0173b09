"""`fetcher push` and `fetcher exports`, as somebody at a terminal runs them."""

import asyncio
import json
import sys
from pathlib import Path

from tests.exporter.buckets import Bucket
from tests.exporter.places import image_for
from tests.exporter.receiver import Receiver
from tests.exporter.registries import Registry
from tests.exporter.test_put import IMAGE, sending
from tests.exporter.test_s3 import OPEN


async def fetcher(*words: str) -> tuple[int | None, str]:
    """Run a command; its exit code and all that it says."""
    process = await asyncio.create_subprocess_exec(
        *(f"{sys.prefix}/bin/fetcher", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_an_image_is_pushed_and_waited_for(tmp_path: Path) -> None:
    """The exit code tells how it ended; the list shows it; a refusal is told with its advice."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        there = ("--server", service.base)
        code, said = await fetcher("push", image_id[:8], receiver.url("/d"), "--wait", *there)
        assert (code, receiver.taken) == (0, {"/d": IMAGE}), said
        assert 'ETag "abc"' in said
        code, said = await fetcher("exports", "--state", "succeeded", *there)
        assert code == 0
        assert receiver.url("/d") in said
        code, said = await fetcher("push", image_id, "https://evil.example.org/d", *there)
        assert code == 8
        assert "images may not be sent to evil.example.org" in said
        assert "Traceback" not in said


async def test_the_same_key_makes_one_export(tmp_path: Path) -> None:
    """A script that runs twice sends once; the same key for another receiver is a mistake."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        more = ("--wait", "--idempotency-key", "night", "--server", service.base)
        for _ in range(2):
            code, said = await fetcher("push", image_id, receiver.url("/d"), *more)
            assert (code, len(receiver.heads)) == (0, 1), said
        code, said = await fetcher("push", image_id, receiver.url("/e"), *more)
        assert (code, "was used before" in said) == (2, True), said
        assert len((await service.get("/exports"))["exports"]) == len(receiver.heads) == 1


async def test_a_refusing_receiver_is_a_failure_for_scripts(tmp_path: Path) -> None:
    """A 403 of the receiver is exit code 4, and says what to look at."""
    async with Receiver("refuse early") as receiver, sending(tmp_path, receiver) as (service, image_id):
        code, said = await fetcher("push", image_id, receiver.url("/d"), "--wait", "--server", service.base)
        assert code == 4
        assert "The receiver answered with status 403." in said
        assert "PUT" in said


async def test_buckets_registries_and_parts_have_their_options(tmp_path: Path) -> None:
    """Keys, layout, verification and signed parts; what came of it is told in words."""
    bucket, registry = Bucket(), Registry()
    bucket.uploads["u"] = {}
    insecure = {"oci": {"insecure_hosts": ["127.0.0.1"]}}
    async with (
        bucket.server() as one,
        registry.server() as two,
        image_for(tmp_path, IMAGE, one, two, sections=insecure) as (service, image_id),
    ):
        there = ("--verify", "--wait", "--server", service.base)
        keys = ("--s3-access-key-id", OPEN["access_key_id"], "--s3-secret-access-key", "hush")
        code, said = await fetcher(
            "push", image_id, "s3://images/x", "--s3-endpoint", one.base, *keys, *there
        )
        assert (code, "Read back: the same bytes." in said, "hush" in said) == (0, True, False), said
        place = f"oci://127.0.0.1:{two.port}/disk:v1"
        code, said = await fetcher("push", image_id, place, "--layout", "containerdisk", *there)
        assert (code, "Digest sha256:" in said) == (0, True), said
        file = tmp_path / "parts.json"
        url = f"{one.base}/images/y?uploadId=u"
        file.write_text(json.dumps({"urls": [f"{url}&partNumber=1"], "part_bytes": 9_000_000}))
        code, said = await fetcher("push", image_id, url, "--parts", str(file), *there)
        assert (code, "Not read back: a URL that is signed for PUT" in said) == (0, True), said
        file.write_text("{")
        code, said = await fetcher("push", image_id, url, "--parts", str(file), *there)
        assert (code != 0, "--parts wants a file of JSON" in said, "Traceback" in said) == (True, True, False)
