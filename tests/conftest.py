"""What holds for all tests."""

import structlog
from hypothesis import HealthCheck, settings

# A busy machine is no finding: examples are bounded in number, not in time.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# Into the standard library's logs, which pytest keeps for the tests that fail: standard output is for
# what the command line says.
structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
    logger_factory=structlog.stdlib.LoggerFactory(),
)
