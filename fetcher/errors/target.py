"""Image services that images are sent on to."""

from dataclasses import dataclass

from fetcher.errors.base import Rejection, ServiceFailure


@dataclass(eq=False, kw_only=True)
class TargetRefused(Rejection):
    """The image service that images go on to will not have this one.

    Args:
        status: Of its answer; None where it took the bytes and its own import came to nothing.
        said: Its words, shortened and made printable; they are a stranger's.
    """

    code = "target-refused"
    title = "The target image service did not take the image: {reason}."
    advice = "Correct what it objects to, then submit again; nothing of the image is left there."
    reason: str
    status: int | None = None
    said: str | None = None


@dataclass(eq=False, kw_only=True)
class TargetUnavailable(ServiceFailure):
    """The image service that images go on to could not be reached, or did not come to an end."""

    code = "target-unavailable"
    title = "The target image service could not take the image: {reason}."
    advice = "Submit again later; if it happens again, tell the operator."
    retryable = True
    reason: str
    status: int | None = None
    retry_after_seconds: float | None = None


@dataclass(eq=False, kw_only=True)
class TargetMismatch(ServiceFailure):
    """The image service that images go on to shows other bytes than were sent."""

    code = "target-mismatch"
    title = "The target image service shows other bytes than were sent: {what} is {actual}, not {expected}."
    advice = "Submit again; if it happens again, have the operator look at that service's store and plugins."
    what: str
    expected: str
    actual: str
