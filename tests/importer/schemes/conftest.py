"""Servers that the tests of source schemes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import qcow2, raw
from tests.lab.bucket import BucketServer, bucket_server

OBJECTS = {
    "disk.qcow2": qcow2(clusters=4),
    "folder/a disk, 50 % (ü).qcow2": qcow2(clusters=3),
    "plain.img": raw(300_000),
}


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    """A server with the objects in a private and in a public bucket."""
    folder: Path = tmp_path_factory.mktemp("buckets")
    with bucket_server(folder) as server:
        assert server.put("open", "") == 200
        for bucket in ("images", "open"):
            for key, data in OBJECTS.items():
                assert server.put(bucket, key, data) == 200
        yield server
