"""Calls of the API that cannot be carried out."""

from fetcher.errors.base import Rejection, RequestRefused, ServiceFailure


class InvalidRequest(RequestRefused):
    """The request is not what the API takes."""

    code = "request-invalid"
    title = "The request cannot be taken: {reason}."
    advice = "Correct the request; the API document describes each field."
    reason: str
    field: str | None = None


class RequestTooLarge(RequestRefused):
    """The request's body is larger than a request may be."""

    code = "request-too-large"
    title = "The request body may hold at most {max_request_bytes} bytes."
    advice = "Send a smaller request."
    max_request_bytes: int


class HeadTooLarge(RequestRefused):
    """The request's line and header fields are larger than a request may be."""

    code = "head-too-large"
    title = "A request's head may hold at most {max_head_bytes} bytes in {max_head_fields} fields."
    advice = "Send a shorter URL, and fewer or shorter header fields."
    max_head_bytes: int
    max_head_fields: int


class RequestTooSlow(RequestRefused):
    """The request did not arrive in time."""

    code = "request-too-slow"
    title = "The request's {part} did not arrive in time: {limit_seconds} seconds."
    advice = "Send the request again, without pauses."
    part: str
    limit_seconds: float


class WrongMediaType(RequestRefused):
    """The request's body is of a media type that is not understood here."""

    code = "media-type-unsupported"
    title = "The media type {sent} is not understood here; send {accepted}."
    advice = "Set Content-Type."
    sent: str
    accepted: str


class UnknownImport(RequestRefused):
    """There is no such import, or not for this project."""

    code = "unknown-import"
    title = "There is no import {id}."
    advice = "Check the id; finished imports are forgotten after the time in GET /limits."
    id: str


class UnknownExport(RequestRefused):
    """There is no such export, or not for this project."""

    code = "unknown-export"
    title = "There is no export {id}."
    advice = "Check the id; finished exports are forgotten after a time."
    id: str


class ReceiverForbidden(Rejection):
    """An image may not be sent there."""

    code = "receiver-forbidden"
    title = "The image is not sent: {reason}."
    advice = "GET /limits lists the hosts that images may be sent to; ask the operator to allow another one."
    reason: str


class SendLimit(RequestRefused):
    """The project has sent as much within a day as it may."""

    code = "send-limit"
    title = "The project may send {limit_bytes} bytes in 24 hours, and has sent {used_bytes}."
    advice = "Export again when earlier exports are a day old, or ask the operator for more."
    limit_bytes: int
    used_bytes: int
    retry_after_seconds: float = 3600.0


class UnknownImage(RequestRefused):
    """There is no such image, or not for this project."""

    code = "unknown-image"
    title = "No image found with ID {id}."
    advice = "Check the id."
    id: str


class LinkInvalid(RequestRefused):
    """The link to the image is not good, or not any more."""

    code = "link-invalid"
    title = "The link is not good: {reason}."
    advice = "Copy the whole link again, or ask whoever made it for a new one."
    reason: str


class UnknownMember(RequestRefused):
    """The image is not shared with that project, or not for this one to see."""

    code = "unknown-member"
    title = "The image is not shared with {id}."
    advice = "List the image's members to see whom it is shared with."
    id: str


class NotFound(RequestRefused):
    """There is nothing at this path."""

    code = "not-found"
    title = "There is nothing here: {what}."
    advice = "Begin at /, from where everything else is reached."
    what: str


class MethodNotAllowed(RequestRefused):
    """The path exists, but not with this method."""

    code = "method-not-allowed"
    title = "{method} is not possible here."
    advice = "The Allow header lists what is."
    method: str


class Conflict(RequestRefused):
    """The state of the image or import does not allow this now."""

    code = "conflict"
    title = "Not possible now: {reason}."
    advice = "Look at the present state first."
    reason: str


class IdempotencyMismatch(RequestRefused):
    """The Idempotency-Key was used before, with another request."""

    code = "idempotency-mismatch"
    title = "This Idempotency-Key was used before with another request."
    advice = "Use a new key for a new request."


class Forbidden(RequestRefused):
    """The caller's roles do not allow this."""

    code = "forbidden"
    title = "Not allowed: {reason}."
    advice = "Ask the operator which role you need."
    reason: str


class Unauthenticated(RequestRefused):
    """The caller did not say who they are."""

    code = "unauthenticated"
    title = "A valid token is needed."
    advice = "Send X-Auth-Token or Authorization: Bearer."


class IdentityUnavailable(ServiceFailure):
    """The identity service cannot be asked, so nobody is let in."""

    code = "identity-unavailable"
    title = "The identity service cannot be asked at the moment."
    advice = "Try again later."
    retry_after_seconds: float = 10.0


class NotReady(ServiceFailure):
    """The service is starting or draining."""

    code = "not-ready"
    title = "The service does not take work at the moment: {reason}."
    advice = "Try again later."
    reason: str
    retry_after_seconds: float = 5.0


class TooManyBodies(ServiceFailure):
    """All memory for the bodies of requests is taken."""

    code = "too-many-bodies"
    title = "All memory for the bodies of requests is taken."
    advice = (
        "Send the request again after the time in Retry-After; the smaller it is, the sooner it is taken."
    )
    retry_after_seconds: float = 5.0


class TooManyConnections(ServiceFailure):
    """All places for connections are taken."""

    code = "too-many-connections"
    title = "All places for connections are taken{scope}."
    advice = "Close connections that are not needed, and try again after the time in Retry-After."
    scope: str = ""
    retry_after_seconds: float = 5.0


class RangeNotSatisfiable(RequestRefused):
    """The requested range is outside the image."""

    code = "range-not-satisfiable"
    title = "The image holds {size} bytes; the range asked for is outside."
    advice = "Ask for a range inside the image."
    size: int
