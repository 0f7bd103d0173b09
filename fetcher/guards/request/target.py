"""The target that images go on to, which is the operator's choice alone."""

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission


def check_target_image(submission: Submission, settings: Settings) -> None:
    """Refuse an image at the target where there is none.

    Raises:
        InvalidRequest: Images stay here.
    """
    if submission.target_image_id is not None and not settings.target.url:
        reason = "images stay here: the operator has set no target image service"
        raise InvalidRequest(field="target_image_id", reason=reason)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish where an image is to be found when its import has succeeded."""
    target = settings.target
    return (
        Limit(
            name="target_url",
            type="string",
            value=target.url,
            description="The image service that submitted images are staged into; empty: they stay here.",
            guard="target",
        ),
        Limit(
            name="target_keeps_bytes",
            type="boolean",
            value=target.keep_bytes,
            description="Whether an image that is active at the target stays here too.",
            guard="target",
        ),
        Limit(
            name="target_seconds",
            type="number",
            value=target.total_seconds,
            description="How long the target may take for one image, from the first request to active.",
            guard="target",
        ),
    )


GUARD = GuardSpec(
    name="target",
    title="Target",
    sections=("target",),
    limits=limits,
    check_submission=check_target_image,
    fields=("target_image_id",),
    keys=("url", "keep_bytes", "total_seconds"),
)
