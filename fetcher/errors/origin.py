"""Attestations, publishers and catalogues."""

from fetcher.errors.base import Rejection, RequestRefused, ServiceFailure, SourceFailure


class AttestationInvalid(Rejection):
    """The attestation proves nothing about the bytes."""

    code = "attestation-invalid"
    title = "The attestation proves nothing: {reason}."
    advice = "Fetch the attestation again, and the public keys from GET /keys of the service that made it."
    reason: str


class AttestationUnavailable(ServiceFailure):
    """The statement on an image cannot be signed at the moment."""

    code = "attestation-unavailable"
    title = "The statement on the image cannot be signed at the moment: {reason}."
    advice = "Try again later; the operator has to look if it stays so."
    reason: str
    retry_after_seconds: float = 30.0


class NoAttestation(RequestRefused):
    """The image has no bytes whose origin could be attested."""

    code = "attestation-missing"
    title = "There is no attestation of image {id}: it has no bytes, or came before its origin was kept."
    advice = "Wait until the image is active; images of earlier versions without provenance have none."
    id: str


class SignatureRequired(Rejection):
    """The operator takes images of this publisher with the publisher's signature alone."""

    code = "signature-required"
    title = "Images of {publisher} are taken only with the publisher's signature."
    advice = (
        "In place of checksum, submit checksum_url, and checksum_signature_url where the signature is apart; "
        "or the image's name in a signed catalogue. Where the URL redirects, submit the last one."
    )
    publisher: str


class CatalogueUnusable(SourceFailure):
    """A catalogue cannot be fetched, is not signed as it must be, or is no catalogue."""

    code = "catalogue-unusable"
    title = "The catalogue {catalogue} cannot be used: {reason}."
    advice = "Give the image's URL instead, or ask the operator to look at the catalogue."
    reason: str
    catalogue: str = ""


class UnknownSchedule(RequestRefused):
    """There is no such schedule, or not for this project."""

    code = "unknown-schedule"
    title = "There is no schedule {id}."
    advice = "List the schedules with GET /schedules."
    id: str


class UnknownName(RequestRefused):
    """No catalogue here has an image of that name, version, serial or architecture."""

    code = "unknown-name"
    title = "No catalogue here has {name}; similar names: {similar}."
    advice = "Search with GET /catalogue?q=WORD (`fetcher catalogue WORD` on the command line)."
    name: str
    similar: list[str]
