"""Servers that the tests of receivers share."""

from collections.abc import Iterator

import pytest

from tests.lab import bucket
from tests.lab.bucket import BucketServer


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    """A real server of buckets."""
    with bucket.bucket_server(tmp_path_factory.mktemp("buckets")) as server:
        yield server
