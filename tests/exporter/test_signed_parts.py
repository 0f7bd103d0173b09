"""An upload whose parts have signed URLs: what somebody without keys is handed for a large image."""

from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import fromstring

import aiohttp
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.exporter.buckets import Bucket, error
from tests.exporter.places import image_for
from tests.exporter.server import Answer, Server
from tests.exporter.test_put import IMAGE, ended, push
from tests.exporter.test_s3 import LARGE, MIB
from tests.lab.bucket import KEYS, BucketServer


def presigned(server: BucketServer, method: str, path: str) -> str:
    """Sign a URL for one request."""
    request = AWSRequest(method=method, url=f"{server.endpoint}{path}")
    S3SigV4QueryAuth(Credentials(*KEYS.values()), "s3", "us-east-1", expires=600).add_auth(request)
    return str(request.url)


def uploading(server: Server, count: int, **more: Any) -> dict[str, Any]:
    """What is submitted for an upload at our own server."""
    path = f"{server.base}/images/big"
    urls = [f"{path}?partNumber={n}&uploadId=u&sig=hidden" for n in range(1, count + 1)]
    parts = {"urls": urls, "part_bytes": 5 * MIB, "abort_url": f"{path}?uploadId=u&sig=hidden", **more}
    return {"url": f"{path}?uploadId=u&sig=hidden", "parts": parts}


async def test_a_real_server_of_buckets_puts_the_parts_together(
    tmp_path: Path, bucket_server: BucketServer
) -> None:
    """A part a URL, then the completion; read back from a URL that was signed for that."""
    path = "/images/parts.img"
    async with (
        aiohttp.ClientSession() as client,
        client.post(presigned(bucket_server, "POST", f"{path}?uploads")) as begun,
    ):
        root = fromstring(await begun.text())
    (upload,) = [child.text or "" for child in root if child.tag.endswith("UploadId")]
    upload = quote(upload, safe="")
    urls = [presigned(bucket_server, "PUT", f"{path}?partNumber={n}&uploadId={upload}") for n in (1, 2, 3)]
    body = {
        "url": presigned(bucket_server, "POST", f"{path}?uploadId={upload}"),
        "parts": {"urls": urls, "part_bytes": 5 * MIB},
        "verify": True,
        "read_url": presigned(bucket_server, "GET", path),
    }
    async with image_for(tmp_path, LARGE, bucket_server) as (service, image_id):
        done = await ended(service, (await push(service, image_id, **body))["id"])
        assert done["state"] == "succeeded", done["verdict"]
        assert (done["sender"], done["answer"]["parts"]) == ("parts", "3")
        assert done["read_back"]["result"] == "matched"
        assert "Signature" not in str(done).replace("Signature=REDACTED", "")


async def test_parts_are_gone_on_from_and_a_failure_drops_the_upload(tmp_path: Path) -> None:
    """Each part once, with its digest; a refusal is followed by the DELETE that was given for it."""
    bucket = Bucket()
    bucket.uploads["u"] = {}
    bucket.faults["PUT partNumber sig uploadId"] = [None]
    async with (
        bucket.server() as server,
        image_for(tmp_path, LARGE, server, parts_at_once=1) as (service, image_id),
    ):
        done = await ended(service, (await push(service, image_id, **uploading(server, 3)))["id"])
        assert done["state"] == "succeeded", done["verdict"]
        assert bucket.objects == {"/images/big": LARGE}
        sent = [asked for asked in server.asked if asked.method == "PUT"]
        assert [asked.query["partNumber"] for asked in sent] == ["1", "1", "2", "3"]
        assert sent[0].headers["content-digest"].startswith("sha-256=:")
        assert "authorization" not in sent[0].headers
        bucket.uploads["u"] = {}
        bucket.faults["POST sig uploadId"] = [error("AccessDenied", 403)]
        done = await ended(service, (await push(service, image_id, **uploading(server, 3)))["id"])
        assert (done["state"], done["verdict"]["code"]) == ("failed", "source-status")
        assert bucket.dropped == ["u"]


async def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """Where the receiver does not drop what was begun, the export says so."""
    bucket = Bucket()
    bucket.uploads["u"] = {}
    bucket.faults["POST sig uploadId"] = [error("AccessDenied", 403)]
    bucket.faults["DELETE sig uploadId"] = [Answer(status=403)]
    async with bucket.server() as server, image_for(tmp_path, LARGE, server) as (service, image_id):
        done = await ended(service, (await push(service, image_id, **uploading(server, 3)))["id"])
        assert "could not be removed" in done["answer"]["left"]


NEVER: tuple[dict[str, Any], ...] = (
    {"part_bytes": 1},
    {"urls": ["http://evil.example/"]},
    {"abort_url": "http://evil.example/"},
    {"urls": ["ftp://127.0.0.1/"]},
)


async def test_what_can_never_be_sent_is_refused_at_once(tmp_path: Path) -> None:
    """Too few URLs, or one of a host that nothing may be sent to: nobody is asked."""
    bucket = Bucket()
    async with bucket.server() as server, image_for(tmp_path, IMAGE, server) as (service, image_id):
        for wrong in NEVER:
            body = uploading(server, 1)
            body["parts"] |= wrong
            status, problem, _ = await service.call("POST", "/exports", json={"image": image_id, **body})
            assert status in {400, 403}, (wrong, problem)
        assert server.asked == []
