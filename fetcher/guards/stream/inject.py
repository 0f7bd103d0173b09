"""The operator's rules for what is set on images."""

import msgspec

from fetcher.config import Settings
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is in force."""
    return (
        Limit(
            name="inject",
            type="array",
            value=[msgspec.to_builtins(rule) for rule in settings.inject.rules],
            description="The operator's rules: these will be set on images, and required or forbidden.",
            guard="inject",
        ),
    )


GUARD = GuardSpec(
    name="inject",
    title="What is set on images",
    sections=("inject",),
    limits=limits,
    keys=("rules",),
)
