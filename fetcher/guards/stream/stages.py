"""What happens to received bytes before they are kept: the limits that unpacking and conversion publish."""

import msgspec

from fetcher.config import Settings
from fetcher.guards.base import Limit


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is done to what is received."""
    return (
        Limit(
            name="unpack_enabled",
            type="boolean",
            value=settings.unpack.enabled,
            description="Whether a disk is taken out of .xz, .gz, .zst, .tar, .zip, .ova and the like.",
            guard="unpack",
        ),
        Limit(
            name="unpack_max_members",
            type="integer",
            value=settings.unpack.max_members,
            description="The most files that an archive may hold.",
            guard="unpack",
        ),
        Limit(
            name="unpack_max_layers",
            type="integer",
            value=settings.unpack.max_layers,
            description="The most formats that may be nested in one another.",
            guard="unpack",
        ),
        Limit(
            name="convert_target",
            type="string",
            value=settings.convert.target,
            description="The disk format that images are converted to, or as-received.",
            guard="convert",
        ),
        Limit(
            name="convert_offered",
            type="array",
            value=list(settings.convert.offered),
            description="What a submission may ask for as convert_to instead.",
            guard="convert",
        ),
        Limit(
            name="inject",
            type="array",
            value=[msgspec.to_builtins(rule) for rule in settings.inject.rules],
            description="The operator's rules: these will be set on images, and required or forbidden.",
            guard="inject",
        ),
    )
