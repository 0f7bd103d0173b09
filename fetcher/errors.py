"""Every way an import or a request can end badly, in one table of classes.

A class is one outcome that a program may branch on. Its `code` is for
programs and never changes; `title` and `advice` are for people; the fields
are the facts. `told_as` names the class shown to the submitter where the
truth would map our inner network: the log and the operator get the truth.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


class Failure(Exception):
    """The root of the table; never raised itself."""

    code: ClassVar[str] = ""
    title: ClassVar[str] = ""
    advice: ClassVar[str] = ""
    public_class: ClassVar["type[Failure] | None"] = None
    retryable: ClassVar[bool] = False
    hidden: ClassVar[frozenset[str]] = frozenset()
    part: str | None = None  # What else than the image it befell: "checksum file".

    def fields(self) -> dict[str, Any]:
        """Return all facts of this failure: for the log and the operator."""
        return asdict(self)  # type: ignore[call-overload, no-any-return] # each subclass is a dataclass

    def __str__(self) -> str:
        """Return the facts as one sentence: for the log and the operator."""
        return self.title.format(**{key: readable(value) for key, value in self.fields().items()})

    def is_retryable(self) -> bool:
        """Return whether another attempt of the same import may end better."""
        return self.retryable

    def public(self) -> "Failure":
        """Return the failure as the submitter may see it."""
        return self if self.public_class is None else self.public_class()

    def public_fields(self) -> dict[str, Any]:
        """Return the facts that the submitter may see, without those not known."""
        shown = {k: v for k, v in self.public().fields().items() if k not in self.hidden}
        return {key: value for key, value in shown.items() if value is not None}


def readable(value: object) -> str:
    """Print a fact inside a sentence: thousands separated, lists with commas."""
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(str(item) for item in value) or "none"


class Rejection(Failure):
    """What was submitted is refused; trying again changes nothing."""


class SourceFailure(Failure):
    """The source let us down; trying again may help."""


class ServiceFailure(Failure):
    """The fault is ours; the submission may be fine."""


class RequestRefused(Failure):
    """A call of the API cannot be carried out; no import ends by it."""


# --- the URL and where it leads ---------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class InvalidUrl(Rejection):
    """The URL breaks a rule before anything is looked up."""

    code = "url-invalid"
    title = "The URL cannot be fetched: {reason}."
    advice = "Correct the URL; GET /limits tells which schemes, ports and hosts are accepted."
    reason: str
    rule: str = "syntax"


@dataclass(eq=False, kw_only=True)
class SourceUnreachable(SourceFailure):
    """No connection to the source came about; deliberately without detail."""

    code = "source-unreachable"
    title = "The source could not be reached."
    advice = "Check that the URL can be fetched from the public internet, then submit it again."
    retryable = True


@dataclass(eq=False, kw_only=True)
class AddressForbidden(Rejection):
    """The host resolved to an address that we do not fetch from."""

    code = "address-forbidden"
    title = "The source {host} is at {address}, port {port}, which we do not fetch from: {reason}."
    advice = "Host the image on the public internet, or ask the operator to allow the address."
    public_class = SourceUnreachable
    host: str
    address: str
    port: int
    reason: str


@dataclass(eq=False, kw_only=True)
class NameUnresolved(SourceFailure):
    """The host name has no usable address."""

    code = "name-unresolved"
    title = "The name {host} could not be resolved: {reason}."
    advice = "Check the host name, then submit the URL again."
    public_class = SourceUnreachable
    retryable = True
    host: str
    reason: str


@dataclass(eq=False, kw_only=True)
class ConnectFailed(SourceFailure):
    """The host was allowed and did not answer, or broke the connection off before its answer."""

    code = "connect-failed"
    title = "No connection to {host}, port {port}: {reason}."
    advice = "Check that the source is up, then submit the URL again."
    public_class = SourceUnreachable
    retryable = True
    host: str
    port: int
    reason: str


@dataclass(eq=False, kw_only=True)
class TlsFailed(SourceFailure):
    """The source's certificate or handshake is not acceptable."""

    code = "tls-failed"
    title = "The connection to {host} is not secure: {reason}."
    advice = "Have the source present a valid certificate for its name, or use another mirror."
    host: str
    reason: str


@dataclass(eq=False, kw_only=True)
class Http2Only(SourceFailure):
    """The source takes no HTTP/1.1, the only version that is spoken here."""

    code = "http2-only"
    title = "The source {host} speaks HTTP/2 only; this service speaks HTTP/1.1."
    advice = "Use another mirror, or have the server accept HTTP/1.1 as well."
    host: str


@dataclass(eq=False, kw_only=True)
class TooManyRedirects(Rejection):
    """The source redirected more often than allowed, or in a circle."""

    code = "too-many-redirects"
    title = "The source redirected more than {max_redirects} times, or in a circle."
    advice = "Submit the address that the redirects end at."
    max_redirects: int
    circle: bool | None = None
    cookie: bool | None = None


@dataclass(eq=False, kw_only=True)
class BadRedirect(Rejection):
    """A redirect leads to a place that we do not follow to."""

    code = "bad-redirect"
    title = "Redirect {hop} cannot be followed: {reason}."
    advice = "Submit the address that the redirects should end at."
    hop: int
    reason: str


@dataclass(eq=False, kw_only=True)
class SourceStatus(SourceFailure):
    """The source answered with a status that carries no image."""

    code = "source-status"
    title = "The source answered with status {status}."
    advice = "Check that the URL downloads the image without a login; 5xx answers may pass with time."
    status: int
    retry_after_seconds: float | None = None
    headers: str | None = None

    def is_retryable(self) -> bool:
        """Overload and faults of the source pass with time; other answers are final."""
        return self.status in {408, 425, 429} or self.status in range(500, 600)


@dataclass(eq=False, kw_only=True)
class BadResponse(SourceFailure):
    """The source's answer breaks the rules of HTTP, or contradicts itself."""

    code = "bad-response"
    title = "The source's answer is not valid HTTP: {reason}."
    advice = "The server behind the URL is broken or is no web server: use another one."
    reason: str


@dataclass(eq=False, kw_only=True)
class EncodingForbidden(Rejection):
    """The source sent a content coding that we did not ask for."""

    code = "encoding-forbidden"
    title = "The source sent the content coding {encoding}, though identity was asked for."
    advice = "Use a URL whose server sends the file as it is."
    encoding: str


# --- size and pace ----------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class LengthUnknown(Rejection):
    """The source does not say where its body ends, and no digest would tell that it was cut short."""

    code = "length-unknown"
    title = "The source does not say where the image ends, so a broken connection would go unnoticed."
    advice = "Submit a checksum or checksum_url, or host the image where Content-Length is sent."


@dataclass(eq=False, kw_only=True)
class TooManyBytes(Rejection):
    """The source has more bytes than the import may hold."""

    code = "too-many-bytes"
    title = "The image is larger than the {max_bytes} bytes that this import may hold."
    advice = "Use a smaller or a sparse format (qcow2), raise your own max_bytes, or ask the operator."
    max_bytes: int
    declared_bytes: int | None = None


@dataclass(eq=False, kw_only=True)
class VirtualSizeExceeded(Rejection):
    """The disk that the image describes is larger than allowed."""

    code = "virtual-size-exceeded"
    title = "The image describes a disk of {virtual_bytes} bytes; at most {max_virtual_bytes} are allowed."
    advice = "Shrink the disk inside the image."
    virtual_bytes: int
    max_virtual_bytes: int


@dataclass(eq=False, kw_only=True)
class Truncated(SourceFailure):
    """The source ended before the bytes it had announced."""

    code = "truncated"
    title = "The source sent {received_bytes} of {declared_bytes} bytes."
    advice = "Submit the URL again; if it ends at the same byte, the file at the source is broken."
    retryable = True
    received_bytes: int
    declared_bytes: int | str = "an unknown number of"


@dataclass(eq=False, kw_only=True)
class SourceTooSlow(SourceFailure):
    """The source was silent too long, or its rate fell below the floor."""

    code = "source-too-slow"
    title = "The source was too slow: {reason}."
    advice = "Try again later or use a faster mirror; GET /limits tells the time limits."
    retryable = True
    reason: str
    limit_seconds: float | None = None
    limit_bytes_per_second: int | None = None


@dataclass(eq=False, kw_only=True)
class DeadlinePassed(SourceFailure):
    """The import as a whole took longer than allowed."""

    code = "deadline-passed"
    title = "The import did not end within {total_seconds} seconds."
    advice = "Use a faster mirror or a smaller format."
    total_seconds: float


# --- the bytes --------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class EmptySource(Rejection):
    """The source has no bytes at all."""

    code = "empty"
    title = "The source sent no bytes."
    advice = "Check the URL: the file behind it is empty."


@dataclass(eq=False, kw_only=True)
class FormatUnknown(Rejection):
    """The bytes are none of the formats that are accepted here."""

    code = "format-unknown"
    title = "The bytes are {found}, which is not accepted here; accepted are: {allowed}."
    advice = "{hint}"
    found: str
    allowed: list[str]
    hint: str = "Convert the image to an accepted format."


@dataclass(eq=False, kw_only=True)
class FormatMismatch(Rejection):
    """The bytes are not what the submitter said they are."""

    code = "format-mismatch"
    title = "You said {claimed}, but the bytes are {found}."
    advice = "{hint}"
    claimed: str
    found: str
    hint: str = "Correct disk_format or leave it out, so that it is found out from the bytes."


@dataclass(eq=False, kw_only=True)
class FormatAmbiguous(Rejection):
    """The bytes are two formats at once; which one would be booted is a guess."""

    code = "format-ambiguous"
    title = "The bytes are {found} at the same time."
    advice = "Make the image anew with one format only, for example with qemu-img convert."
    found: list[str]


@dataclass(eq=False, kw_only=True)
class FormatUnsafe(Rejection):
    """The image lies about itself or reaches outside itself."""

    code = "format-unsafe"
    title = "The {format} image is not safe: {reason}."
    advice = "{hint}"
    format: str
    rule: str
    reason: str
    hint: str = "Make a self-contained image, for example with qemu-img convert."


@dataclass(eq=False, kw_only=True)
class ConversionFailed(Rejection):
    """The image could not be converted."""

    code = "conversion-failed"
    title = "The {format} image could not be converted to {target}: {reason}."
    advice = "Check the image with `qemu-img check`, or make it anew with `qemu-img convert`."
    format: str
    target: str
    reason: str


@dataclass(eq=False, kw_only=True)
class ChecksumMismatch(Rejection):
    """The bytes are not those that were promised."""

    code = "checksum-mismatch"
    title = "The {algorithm} of the bytes is {actual}, not {expected}."
    advice = "Compare the checksum with the publisher's; if it is right, the file was changed or damaged."
    algorithm: str
    expected: str
    actual: str
    source: str = "submitter"


@dataclass(eq=False, kw_only=True)
class ChecksumRequired(Rejection):
    """The operator asks for a digest with every submission."""

    code = "checksum-required"
    title = "A checksum is required here: {accepted}."
    advice = "Add checksum or checksum_url to the submission."
    accepted: list[str]


@dataclass(eq=False, kw_only=True)
class ChecksumFileUnusable(Rejection):
    """The file named by checksum_url does not give one digest for this image."""

    code = "checksum-file-unusable"
    title = "The checksum file cannot be used: {reason}."
    advice = "Check checksum_url, or give the digest itself as checksum."
    reason: str
    kind: str | None = None


@dataclass(eq=False, kw_only=True)
class RemoteUnknown(Rejection):
    """The operator named no image service that way."""

    code = "remote-unknown"
    title = "No image service is named {region} here; there are: {known}."
    advice = "Name one of those, or have the operator add it to image_api.remotes."
    region: str
    known: list[str]


@dataclass(eq=False, kw_only=True)
class RemoteImageUnusable(Rejection):
    """The other image service has the image, but not to be taken as it is."""

    code = "remote-image-unusable"
    title = "The image at {region} cannot be taken: {reason}."
    advice = "Look at the image there: it has to be active, with a format and a size that are accepted here."
    region: str
    reason: str


@dataclass(eq=False, kw_only=True)
class BucketRefused(SourceFailure):
    """The server of a bucket does not give the object out."""

    code = "bucket-refused"
    title = "The bucket's server refused the object: {error}."
    advice = "Check the bucket, the key, the endpoint and the credentials; {error} is the server's own code."
    error: str
    status: int
    anonymous: bool = False
    region: str | None = None
    retry_after_seconds: float | None = None

    def is_retryable(self) -> bool:
        """Overload and faults of the server pass with time; other answers are final."""
        return self.status == 429 or self.status in range(500, 600) or self.error == "RequestTimeout"


@dataclass(eq=False, kw_only=True)
class RegistryUnusable(SourceFailure):
    """The registry has no disk under that name that could be taken."""

    code = "registry-unusable"
    title = "The registry's image cannot be taken: {reason}."
    advice = "Look at the image with `skopeo inspect --raw`: exactly one disk has to be in it."
    reason: str
    rule: str = "manifest"
    choices: list[str] | None = None


# --- where images go on to --------------------------------------------------------------------


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


# --- us ---------------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class QuotaExceeded(Rejection):
    """The project has no room left."""

    code = "quota-exceeded"
    title = "The project's quota of {quota} {what} is used up: {used} in use."
    advice = "Delete images that are no longer needed, or ask the operator for a larger quota."
    what: str
    quota: int
    used: int


@dataclass(eq=False, kw_only=True)
class QueueFull(ServiceFailure):
    """Too many imports wait already, or too many were submitted at once."""

    code = "queue-full"
    title = "Too many imports at the moment: {scope} limit of {limit} reached."
    advice = "Submit again after the time in Retry-After."
    scope: str
    limit: int
    retry_after_seconds: float = 5.0


@dataclass(eq=False, kw_only=True)
class StoreFull(ServiceFailure):
    """The store has no room for the image."""

    code = "store-full"
    title = "The store has no room for this image."
    advice = "Submit again later; the operator can see what fills the store."
    retry_after_seconds: float = 60.0


@dataclass(eq=False, kw_only=True)
class PartMissing(ServiceFailure):
    """An optional part of this service is needed and not installed."""

    code = "part-missing"
    title = "{what} needs the package {package}, which is not installed here."
    advice = "Ask the operator to install it: in the checkout, make setup EXTRAS={extra}."
    what: str
    package: str
    extra: str


@dataclass(eq=False, kw_only=True)
class ConversionUnavailable(ServiceFailure):
    """Images of this kind cannot be converted or booted on this machine."""

    code = "conversion-unavailable"
    title = "Conversion is not available on this machine: {reason}."
    advice = "Submit the image in a format that needs no conversion, or ask the operator."
    reason: str


@dataclass(eq=False, kw_only=True)
class StoreFailed(ServiceFailure):
    """The disk or the index refused a write."""

    code = "store-failed"
    title = "The store could not keep the image: {reason}."
    advice = "Submit again later; the operator finds the cause in the log."
    hidden = frozenset({"reason"})
    reason: str = "a write failed"


@dataclass(eq=False, kw_only=True)
class Shortage(StoreFailed):
    """The machine is short of descriptors, threads or memory at the moment."""

    code = "shortage"
    title = "The machine is short of descriptors, threads or memory: {reason}."
    advice = "Try again after the time in Retry-After; imports wait and go on by themselves."
    retryable = True
    retry_after_seconds: float = 5.0


@dataclass(eq=False, kw_only=True)
class ReadGivenUp(ServiceFailure):
    """Reading the index for this request took too long."""

    code = "read-given-up"
    title = "Reading the index for this request took too long."
    advice = "Ask for less: fewer filters, a smaller page; or try again later."
    retry_after_seconds: float = 5.0


@dataclass(eq=False, kw_only=True)
class BytesDamaged(ServiceFailure):
    """The image's bytes are damaged on our disk and are not given out."""

    code = "bytes-damaged"
    title = "The image's bytes are {fault} in the store, so they are not given out."
    advice = "Try again later, or import the same bytes again, which heals; the operator can restore them."
    fault: str
    retry_after_seconds: float = 3600.0


@dataclass(eq=False, kw_only=True)
class InternalFault(ServiceFailure):
    """A fault of ours; the import was ended to be on the safe side."""

    code = "internal-fault"
    title = "A fault of this service ended the import."
    advice = "Tell the operator the import's id; submitting again may help."


@dataclass(eq=False, kw_only=True)
class Interrupted(ServiceFailure):
    """The service stopped while the import ran and could not take it up again."""

    code = "interrupted"
    title = "The service was stopped while the import ran."
    advice = "Submit the URL again."


@dataclass(eq=False, kw_only=True)
class Cancelled(Failure):
    """Somebody who may asked for the import to be ended."""

    code = "cancelled"
    title = "The import was cancelled."
    advice = "Submit the URL again if that was a mistake."


# --- requests ---------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class InvalidRequest(RequestRefused):
    """The request is not what the API takes."""

    code = "request-invalid"
    title = "The request cannot be taken: {reason}."
    advice = "Correct the request; the API document describes each field."
    reason: str
    field: str | None = None


@dataclass(eq=False, kw_only=True)
class RequestTooLarge(RequestRefused):
    """The request's body is larger than a request may be."""

    code = "request-too-large"
    title = "The request body may hold at most {max_request_bytes} bytes."
    advice = "Send a smaller request."
    max_request_bytes: int


@dataclass(eq=False, kw_only=True)
class HeadTooLarge(RequestRefused):
    """The request's line and header fields are larger than a request may be."""

    code = "head-too-large"
    title = "A request's head may hold at most {max_head_bytes} bytes in {max_head_fields} fields."
    advice = "Send a shorter URL, and fewer or shorter header fields."
    max_head_bytes: int
    max_head_fields: int


@dataclass(eq=False, kw_only=True)
class RequestTooSlow(RequestRefused):
    """The request did not arrive in time."""

    code = "request-too-slow"
    title = "The request's {part} did not arrive in time: {limit_seconds} seconds."
    advice = "Send the request again, without pauses."
    part: str
    limit_seconds: float


@dataclass(eq=False, kw_only=True)
class WrongMediaType(RequestRefused):
    """The request's body is of a media type that is not understood here."""

    code = "media-type-unsupported"
    title = "The media type {sent} is not understood here; send {accepted}."
    advice = "Set Content-Type."
    sent: str
    accepted: str


@dataclass(eq=False, kw_only=True)
class UnknownImport(RequestRefused):
    """There is no such import, or not for this project."""

    code = "unknown-import"
    title = "There is no import {id}."
    advice = "Check the id; finished imports are forgotten after the time in GET /limits."
    id: str


@dataclass(eq=False, kw_only=True)
class UnknownExport(RequestRefused):
    """There is no such export, or not for this project."""

    code = "unknown-export"
    title = "There is no export {id}."
    advice = "Check the id; finished exports are forgotten after a time."
    id: str


@dataclass(eq=False, kw_only=True)
class ReceiverForbidden(Rejection):
    """An image may not be sent there."""

    code = "receiver-forbidden"
    title = "The image is not sent: {reason}."
    advice = "GET /limits lists the hosts that images may be sent to; ask the operator to allow another one."
    reason: str


@dataclass(eq=False, kw_only=True)
class SendLimit(RequestRefused):
    """The project has sent as much within a day as it may."""

    code = "send-limit"
    title = "The project may send {limit_bytes} bytes in 24 hours, and has sent {used_bytes}."
    advice = "Export again when earlier exports are a day old, or ask the operator for more."
    limit_bytes: int
    used_bytes: int
    retry_after_seconds: float = 3600.0


@dataclass(eq=False, kw_only=True)
class UnknownImage(RequestRefused):
    """There is no such image, or not for this project."""

    code = "unknown-image"
    title = "No image found with ID {id}."
    advice = "Check the id."
    id: str


@dataclass(eq=False, kw_only=True)
class UnknownMember(RequestRefused):
    """The image is not shared with that project, or not for this one to see."""

    code = "unknown-member"
    title = "The image is not shared with {id}."
    advice = "List the image's members to see whom it is shared with."
    id: str


@dataclass(eq=False, kw_only=True)
class NotFound(RequestRefused):
    """There is nothing at this path."""

    code = "not-found"
    title = "There is nothing here: {what}."
    advice = "Begin at /, from where everything else is reached."
    what: str


@dataclass(eq=False, kw_only=True)
class MethodNotAllowed(RequestRefused):
    """The path exists, but not with this method."""

    code = "method-not-allowed"
    title = "{method} is not possible here."
    advice = "The Allow header lists what is."
    method: str


@dataclass(eq=False, kw_only=True)
class Conflict(RequestRefused):
    """The state of the image or import does not allow this now."""

    code = "conflict"
    title = "Not possible now: {reason}."
    advice = "Look at the present state first."
    reason: str


@dataclass(eq=False, kw_only=True)
class IdempotencyMismatch(RequestRefused):
    """The Idempotency-Key was used before, with another request."""

    code = "idempotency-mismatch"
    title = "This Idempotency-Key was used before with another request."
    advice = "Use a new key for a new request."


@dataclass(eq=False, kw_only=True)
class Forbidden(RequestRefused):
    """The caller's roles do not allow this."""

    code = "forbidden"
    title = "Not allowed: {reason}."
    advice = "Ask the operator which role you need."
    reason: str


@dataclass(eq=False, kw_only=True)
class Unauthenticated(RequestRefused):
    """The caller did not say who they are."""

    code = "unauthenticated"
    title = "A valid token is needed."
    advice = "Send X-Auth-Token or Authorization: Bearer."


@dataclass(eq=False, kw_only=True)
class IdentityUnavailable(ServiceFailure):
    """The identity service cannot be asked, so nobody is let in."""

    code = "identity-unavailable"
    title = "The identity service cannot be asked at the moment."
    advice = "Try again later."
    retry_after_seconds: float = 10.0


@dataclass(eq=False, kw_only=True)
class NotReady(ServiceFailure):
    """The service is starting or draining."""

    code = "not-ready"
    title = "The service does not take work at the moment: {reason}."
    advice = "Try again later."
    reason: str
    retry_after_seconds: float = 5.0


@dataclass(eq=False, kw_only=True)
class TooManyBodies(ServiceFailure):
    """All memory for the bodies of requests is taken."""

    code = "too-many-bodies"
    title = "All memory for the bodies of requests is taken."
    advice = (
        "Send the request again after the time in Retry-After; the smaller it is, the sooner it is taken."
    )
    retry_after_seconds: float = 5.0


@dataclass(eq=False, kw_only=True)
class TooManyConnections(ServiceFailure):
    """All places for connections are taken."""

    code = "too-many-connections"
    title = "All places for connections are taken{scope}."
    advice = "Close connections that are not needed, and try again after the time in Retry-After."
    scope: str = ""
    retry_after_seconds: float = 5.0


@dataclass(eq=False, kw_only=True)
class RangeNotSatisfiable(RequestRefused):
    """The requested range is outside the image."""

    code = "range-not-satisfiable"
    title = "The image holds {size} bytes; the range asked for is outside."
    advice = "Ask for a range inside the image."
    size: int


# --- unpacking --------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class UnpackFailed(Rejection):
    """The packed file is damaged, breaks a rule of its format, or exceeds a limit of unpacking."""

    code = "unpack-failed"
    title = "The {packing} file cannot be unpacked: {reason}."
    advice = "{hint}"
    packing: str
    rule: str
    reason: str
    hint: str = "Download the file yourself and test it; if it is whole, unpack it and submit the disk image."


@dataclass(eq=False, kw_only=True)
class DiskUnclear(Rejection):
    """The archive holds several disk images or none, and an image is made from exactly one."""

    code = "disk-unclear"
    title = "The {packing} archive does not tell which disk to use: {reason}. Its disks: {disks}."
    advice = "{hint}"
    packing: str
    reason: str
    disks: list[str]
    hint: str = "Set disk to the name of one of the disks, or to its number in the order of the archive."


# --- attestations -----------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class AttestationInvalid(Rejection):
    """The attestation proves nothing about the bytes."""

    code = "attestation-invalid"
    title = "The attestation proves nothing: {reason}."
    advice = "Fetch the attestation again, and the public keys from GET /keys of the service that made it."
    reason: str


@dataclass(eq=False, kw_only=True)
class AttestationUnavailable(ServiceFailure):
    """The statement on an image cannot be signed at the moment."""

    code = "attestation-unavailable"
    title = "The statement on the image cannot be signed at the moment: {reason}."
    advice = "Try again later; the operator has to look if it stays so."
    reason: str
    retry_after_seconds: float = 30.0


@dataclass(eq=False, kw_only=True)
class NoAttestation(RequestRefused):
    """The image has no bytes whose origin could be attested."""

    code = "attestation-missing"
    title = "There is no attestation of image {id}: it has no bytes, or came before its origin was kept."
    advice = "Wait until the image is active; images of earlier versions without provenance have none."
    id: str


# --- publishers -------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class SignatureRequired(Rejection):
    """The operator takes images of this publisher with the publisher's signature alone."""

    code = "signature-required"
    title = "Images of {publisher} are taken only with the publisher's signature."
    advice = (
        "In place of checksum, submit checksum_url, and checksum_signature_url where the signature is apart; "
        "or the image's name in a signed catalogue. Where the URL redirects, submit the last one."
    )
    publisher: str


# --- catalogues -------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class CatalogueUnusable(SourceFailure):
    """A catalogue cannot be fetched, is not signed as it must be, or is no catalogue."""

    code = "catalogue-unusable"
    title = "The catalogue {catalogue} cannot be used: {reason}."
    advice = "Give the image's URL instead, or ask the operator to look at the catalogue."
    reason: str
    catalogue: str = ""


@dataclass(eq=False, kw_only=True)
class UnknownSchedule(RequestRefused):
    """There is no such schedule, or not for this project."""

    code = "unknown-schedule"
    title = "There is no schedule {id}."
    advice = "List the schedules with GET /schedules."
    id: str


@dataclass(eq=False, kw_only=True)
class UnknownName(RequestRefused):
    """No catalogue here has an image of that name, version, serial or architecture."""

    code = "unknown-name"
    title = "No catalogue here has {name}; similar names: {similar}."
    advice = "Search with GET /catalogue?q=WORD (`fetcher catalogue WORD` on the command line)."
    name: str
    similar: list[str]


def table() -> dict[str, type[Failure]]:
    """Every class of the table by its code, in the order of this file."""
    found: dict[str, type[Failure]] = {}
    todo: list[type[Failure]] = [Failure]
    while todo:
        for child in todo.pop(0).__subclasses__():
            todo.append(child)
            if child.code:
                found[child.code] = child
    return found
