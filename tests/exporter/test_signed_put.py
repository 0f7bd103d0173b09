"""A URL that a real server of buckets takes for one PUT: what the image's users are handed by their cloud."""

import http.client
from pathlib import Path

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.exporter.test_put import IMAGE, ended, push
from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.bucket import KEYS, BucketServer
from tests.lab.origin import Origin
from tests.service import Running


def signed(
    server: BucketServer, method: str, key: str, *, keys: tuple[str, ...] = tuple(KEYS.values())
) -> str:
    """Sign a URL for one request, as `aws s3 presign` does."""
    request = AWSRequest(method=method, url=f"{server.endpoint}/images/{key}")
    S3SigV4QueryAuth(Credentials(*keys), "s3", "us-east-1", expires=600).add_auth(request)
    return str(request.url)


def stored(server: BucketServer, key: str) -> bytes:
    """Read an object back."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("GET", signed(server, "GET", key).removeprefix(server.endpoint))
    body = connection.getresponse().read()
    connection.close()
    return body


async def test_a_signed_url_of_a_bucket_is_all_that_is_needed(
    tmp_path: Path, bucket_server: BucketServer
) -> None:
    """The object has the very bytes, and its ETag is kept; a wrong signature stores nothing and is told."""
    server = bucket_server
    async with Origin({"/d": behaviours.serve(qcow2(clusters=40))}) as origin:
        places = [{"cidr": "127.0.0.1/32", "ports": [origin.port, server.port]}]
        rules = {"receivers": [server.host]}
        async with Running(tmp_path, exports=rules, address={"allow": places}) as service:
            image = (await service.run(url=origin.url("/d"), disk_format="qcow2"))["image_id"]
            good = await push(service, image, signed(server, "PUT", "sent.qcow2"))
            done = await ended(service, good["id"])
            assert (done["state"], done["answer"]["status"]) == ("succeeded", "200")
            assert done["answer"]["etag"]
            assert "Signature=" not in done["receiver"].replace("Signature=REDACTED", "")
            assert stored(server, "sent.qcow2") == IMAGE
            foreign = signed(server, "PUT", "stolen.qcow2", keys=(KEYS["access_key_id"], "wrong"))
            refused = await ended(service, (await push(service, image, foreign))["id"])
            assert (refused["state"], refused["verdict"]["fields"]["status"]) == ("failed", 403)
            assert IMAGE not in stored(server, "stolen.qcow2")
