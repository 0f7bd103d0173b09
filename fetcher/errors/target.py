"""Failures of those whom images are sent on to: image services and receivers."""

from fetcher.errors.base import Rejection, ServiceFailure, SourceFailure


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


class TargetUnavailable(ServiceFailure):
    """The image service that images go on to could not be reached, or did not come to an end."""

    code = "target-unavailable"
    title = "The target image service could not take the image: {reason}."
    advice = "Submit again later; if it happens again, tell the operator."
    retryable = True
    reason: str
    status: int | None = None
    retry_after_seconds: float | None = None


class TargetMismatch(ServiceFailure):
    """The image service that images go on to shows other bytes than were sent."""

    code = "target-mismatch"
    title = "The target image service shows other bytes than were sent: {what} is {actual}, not {expected}."
    advice = "Submit again; if it happens again, have the operator look at that service's store and plugins."
    what: str
    expected: str
    actual: str


class ReceiverRefused(SourceFailure):
    """A receiver will not have the image.

    Args:
        status: Of its answer, where that says so.
        again: Another attempt may end better.
    """

    code = "receiver-refused"
    title = "The receiver did not take the image: {reason}."
    advice = "Correct what it objects to, then export again; nothing unfinished is left there."
    hidden = frozenset({"again"})
    reason: str
    status: int | None = None
    again: bool = False

    def is_retryable(self) -> bool:
        """Return whether another attempt may end better."""
        return self.again


class ReceiverMismatch(SourceFailure):
    """A receiver has, or says that it has, other bytes than were sent."""

    code = "receiver-mismatch"
    title = "The receiver has other bytes than were sent: {what} is {actual}, not {expected}."
    advice = "Do not use what the receiver has; export again, and have its operator look at it."
    what: str
    expected: str
    actual: str
