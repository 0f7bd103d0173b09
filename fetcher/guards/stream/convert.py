"""Formats that images may be converted to."""

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission


def check_target(submission: Submission, settings: Settings) -> None:
    """Refuse a conversion that the operator does not offer.

    Raises:
        InvalidRequest: With what is offered.
    """
    offered = [*settings.convert.offered, settings.convert.target]
    if submission.convert_to is not None and submission.convert_to not in offered:
        reason = f"the operator does not offer {submission.convert_to}, but {', '.join(sorted(set(offered)))}"
        raise InvalidRequest(field="convert_to", reason=reason)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is in force."""
    return (
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
            description="What a submission may ask for as convert_to instead; an image of the Image API"
            " by its property import_convert_to.",
            guard="convert",
        ),
        Limit(
            name="convert_uploads",
            type="string",
            value=settings.convert.uploads,
            description="Whether plain uploads are converted: never, always, or where an image asks for it.",
            guard="convert",
        ),
    )


GUARD = GuardSpec(
    name="convert",
    title="Conversion",
    sections=("convert",),
    limits=limits,
    check_submission=check_target,
    fields=("convert_to",),
)
