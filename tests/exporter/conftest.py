"""What the tests of exports share."""

import pytest

from tests.lab.bucket import BucketServer


@pytest.fixture(scope="session")
def bucket_server(weed: BucketServer) -> BucketServer:
    """Return the server of buckets that all tests share."""
    return weed
