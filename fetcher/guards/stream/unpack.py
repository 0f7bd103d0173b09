"""Limits on what packed bytes unfold to; the decoders refuse at them."""

from fetcher.config import Settings
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is in force."""
    return (
        Limit(
            name="unpack_enabled",
            type="boolean",
            value=settings.unpack.enabled,
            description="Whether a disk is taken out of .xz, .gz, .zst, .tar, .zip, .ova and the like; of"
            " several disks, `disk` chooses one, or the property import_disk of an image of the Image API.",
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
    )


GUARD = GuardSpec(
    name="unpack",
    title="Unpacking",
    sections=("unpack",),
    limits=limits,
    keys=("enabled", "max_members", "max_layers"),
)
