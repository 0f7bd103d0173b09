"""Limits, shortages and faults of this service."""

from fetcher.errors.base import Failure, Rejection, ServiceFailure


class QuotaExceeded(Rejection):
    """The project has no room left."""

    code = "quota-exceeded"
    title = "The project's quota of {quota} {what} is used up: {used} in use."
    advice = "Delete images that are no longer needed, or ask the operator for a larger quota."
    what: str
    quota: int
    used: int


class QueueFull(ServiceFailure):
    """Too many imports wait already, or too many were submitted at once."""

    code = "queue-full"
    title = "Too many imports at the moment: {scope} limit of {limit} reached."
    advice = "Submit again after the time in Retry-After."
    scope: str
    limit: int
    retry_after_seconds: float = 5.0


class StoreFull(ServiceFailure):
    """The store has no room for the image."""

    code = "store-full"
    title = "The store has no room for this image."
    advice = "Submit again later; the operator can see what fills the store."
    retry_after_seconds: float = 60.0


class PartMissing(ServiceFailure):
    """An optional part of this service is needed and not installed."""

    code = "part-missing"
    title = "{what} needs the package {package}, which is not installed here."
    advice = "Ask the operator to install it: in the checkout, make setup EXTRAS={extra}."
    what: str
    package: str
    extra: str


class ConversionUnavailable(ServiceFailure):
    """Images of this kind cannot be converted or booted on this machine."""

    code = "conversion-unavailable"
    title = "Conversion is not available on this machine: {reason}."
    advice = "Submit the image in a format that needs no conversion, or ask the operator."
    reason: str


class StoreFailed(ServiceFailure):
    """The disk or the index refused a write."""

    code = "store-failed"
    title = "The store could not keep the image: {reason}."
    advice = "Submit again later; the operator finds the cause in the log."
    hidden = frozenset({"reason"})
    reason: str = "a write failed"


class Shortage(StoreFailed):
    """The machine is short of descriptors, threads or memory at the moment."""

    code = "shortage"
    title = "The machine is short of descriptors, threads or memory: {reason}."
    advice = "Try again after the time in Retry-After; imports wait and go on by themselves."
    retryable = True
    retry_after_seconds: float = 5.0


class ReadGivenUp(ServiceFailure):
    """Reading the index for this request took too long."""

    code = "read-given-up"
    title = "Reading the index for this request took too long."
    advice = "Ask for less: fewer filters, a smaller page; or try again later."
    retry_after_seconds: float = 5.0


class BytesDamaged(ServiceFailure):
    """The image's bytes are damaged on our disk and are not given out."""

    code = "bytes-damaged"
    title = "The image's bytes are {fault} in the store, so they are not given out."
    advice = "Try again later, or import the same bytes again, which heals; the operator can restore them."
    fault: str
    retry_after_seconds: float = 3600.0


class InternalFault(ServiceFailure):
    """A fault of ours; the import was ended to be on the safe side."""

    code = "internal-fault"
    title = "A fault of this service ended the import."
    advice = "Tell the operator the import's id; submitting again may help."


class Interrupted(ServiceFailure):
    """The service stopped while the import ran and could not take it up again."""

    code = "interrupted"
    title = "The service was stopped while the import ran."
    advice = "Submit the URL again."


class Cancelled(Failure):
    """A caller who may end the import has asked for it."""

    code = "cancelled"
    title = "The import was cancelled."
    advice = "Submit the URL again if that was a mistake."
