"""The bytes: format, checksum, packing, conversion, and where they were looked for."""

from fetcher.errors.base import Rejection, SourceFailure


class EmptySource(Rejection):
    """The source has no bytes at all."""

    code = "empty"
    title = "The source sent no bytes."
    advice = "Check the URL: the file behind it is empty."


class FormatUnknown(Rejection):
    """The bytes are none of the formats that are accepted here."""

    code = "format-unknown"
    title = "The bytes are {found}, which is not accepted here; accepted are: {allowed}."
    advice = "{hint}"
    found: str
    allowed: list[str]
    hint: str = "Convert the image to an accepted format."


class FormatMismatch(Rejection):
    """The bytes are not what the submitter said they are."""

    code = "format-mismatch"
    title = "You said {claimed}, but the bytes are {found}."
    advice = "{hint}"
    claimed: str
    found: str
    hint: str = "Correct disk_format or leave it out, so that it is found out from the bytes."


class FormatAmbiguous(Rejection):
    """The bytes are two formats at once; which one would be booted is a guess."""

    code = "format-ambiguous"
    title = "The bytes are {found} at the same time."
    advice = "Make the image anew with one format only, for example with qemu-img convert."
    found: list[str]


class FormatUnsafe(Rejection):
    """The image lies about itself or reaches outside itself."""

    code = "format-unsafe"
    title = "The {format} image is not safe: {reason}."
    advice = "{hint}"
    format: str
    rule: str
    reason: str
    hint: str = "Make a self-contained image, for example with qemu-img convert."


class ConversionFailed(Rejection):
    """The image could not be converted."""

    code = "conversion-failed"
    title = "The {format} image could not be converted to {target}: {reason}."
    advice = "Check the image with `qemu-img check`, or make it anew with `qemu-img convert`."
    format: str
    target: str
    reason: str


class ChecksumMismatch(Rejection):
    """The bytes are not those that were promised."""

    code = "checksum-mismatch"
    title = "The {algorithm} of the bytes is {actual}, not {expected}."
    advice = "Compare the checksum with the publisher's; if it is right, the file was changed or damaged."
    algorithm: str
    expected: str
    actual: str
    source: str = "submitter"


class ChecksumRequired(Rejection):
    """The operator asks for a digest with every submission."""

    code = "checksum-required"
    title = "A checksum is required here: {accepted}."
    advice = "Add checksum or checksum_url to the submission."
    accepted: list[str]


class ChecksumFileUnusable(Rejection):
    """The file named by checksum_url does not give one digest for this image."""

    code = "checksum-file-unusable"
    title = "The checksum file cannot be used: {reason}."
    advice = "Check checksum_url, or give the digest itself as checksum."
    reason: str
    kind: str | None = None


class RemoteUnknown(Rejection):
    """The operator named no image service that way."""

    code = "remote-unknown"
    title = "No image service is named {region} here; there are: {known}."
    advice = "Name one of those, or have the operator add it to image_api.remotes."
    region: str
    known: list[str]


class RemoteImageUnusable(Rejection):
    """The other image service has the image, but not to be taken as it is."""

    code = "remote-image-unusable"
    title = "The image at {region} cannot be taken: {reason}."
    advice = "Look at the image there: it has to be active, with a format and a size that are accepted here."
    region: str
    reason: str


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


class RegistryUnusable(SourceFailure):
    """The registry has no disk under that name that could be taken."""

    code = "registry-unusable"
    title = "The registry's image cannot be taken: {reason}."
    advice = "Look at the image with `skopeo inspect --raw`: exactly one disk has to be in it."
    reason: str
    rule: str = "manifest"
    choices: list[str] | None = None


class UnpackFailed(Rejection):
    """The packed file is damaged, breaks a rule of its format, or exceeds a limit of unpacking."""

    code = "unpack-failed"
    title = "The {packing} file cannot be unpacked: {reason}."
    advice = "{hint}"
    packing: str
    rule: str
    reason: str
    hint: str = "Test the file that was published; if it is whole, unpack it and submit the disk image."


class DiskUnclear(Rejection):
    """The archive holds several disk images or none, and an image is made from exactly one."""

    code = "disk-unclear"
    title = "The {packing} archive does not tell which disk to use: {reason}. Its disks: {disks}."
    advice = "{hint}"
    packing: str
    reason: str
    disks: list[str]
    hint: str = "Set disk to the name of one of the disks, or to its number in the order of the archive."
