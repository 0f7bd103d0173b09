"""Servers that the tests of source schemes share."""

import pytest

from tests.images import qcow2, raw
from tests.lab.bucket import BucketServer

OBJECTS = {
    "disk.qcow2": qcow2(clusters=4),
    "folder/a disk, 50 % (ü).qcow2": qcow2(clusters=3),
    "plain.img": raw(300_000),
}


@pytest.fixture(scope="session")
def buckets(weed: BucketServer) -> BucketServer:
    """A server with the objects in a private and in a public bucket."""
    assert weed.put("open", "") == 200
    for bucket in ("images", "open"):
        for key, data in OBJECTS.items():
            assert weed.put(bucket, key, data) == 200
    return weed
