"""One service for all tests of a file."""

from tests.api.image_v2.conftest import cloud

__all__ = ["cloud"]
