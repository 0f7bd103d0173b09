"""What holds for all tests."""

import logging
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests import needs, undisturbed
from tests.lab.fixed_costs import cut_fixed_costs

if TYPE_CHECKING:
    from tests.contract.index.postgres import PostgresPlaces
    from tests.lab.bucket import BucketServer

# Before the first assertion is formatted.
undisturbed.protect_ast()

# Who is started in the background of a shell ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

cut_fixed_costs()

# A busy machine is no finding: examples are bounded in number, not in time.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


# What takes longest begins first, so that at the end no processor is left alone with one of them.
LONGEST = (
    "test_setup.py",
    "test_phases.py",
    "test_torture.py",
    "test_moving_between_sites.py",
    "test_openapi.py",
    "test_real_glance.py",
    "test_recipe.py",
    "test_boot_matrix.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests; all others stay in their order, so that modules keep their fixtures."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a program that is not installed."""
    needs.skip_without(item)


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[BucketServer]":
    """One server of buckets for all tests: each uses a bucket or a prefix of its own."""
    from tests.lab.bucket import bucket_server

    with bucket_server(tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture(scope="session")
def databases() -> "Iterator[PostgresPlaces]":
    """One server of databases for all tests."""
    from tests.contract.index.postgres import PostgresPlaces, server

    with server() as where:
        yield PostgresPlaces(where)


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send logs where pytest keeps them for the tests that fail: standard output is for the command line.

    A command that sets up logs in this process must not settle for all tests to come where they go.
    """
    configure = structlog.configure
    logging.basicConfig(handlers=[], force=True)
    configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )

    def never_cached(**settings: Any) -> None:
        configure(**settings | {"cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", never_cached)
