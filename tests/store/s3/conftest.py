"""The command line, for the tests of a store in a bucket."""

from tests.cli.conftest import fetcher

__all__ = ["fetcher"]
