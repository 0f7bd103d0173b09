"""The command in this process, as in `tests/cli`."""

from tests.cli.conftest import fetcher

__all__ = ["fetcher"]
