"""Answers about imports: how far they are, what they were asked for, how they ended."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fetcher.api.openapi.schemas.base import Moment, ResponseSchema, Seconds, Size
from fetcher.lifecycle import State
from fetcher.model import CatalogueOrigin, FormatVerdict, Notice, Verdict, Visibility


class Progress(ResponseSchema, frozen=True, kw_only=True):
    """The progress of an import."""

    received_bytes: Size
    expected_bytes: Size | None
    percent: Annotated[float, Meta(ge=0, le=100)] | None
    bytes_per_second: Annotated[int, Meta(ge=0)] | None
    seconds_left: Seconds | None


class HopAnswer(ResponseSchema, frozen=True, kw_only=True):
    """One request of a chain of redirects."""

    url: str
    status: int | None


class AttemptTruth(ResponseSchema, frozen=True, kw_only=True):
    """The failure that really ended one attempt."""

    code: str
    message: str
    addresses: Annotated[list[str], Meta(description="Dialled, or meant to be.")]


class AttemptAnswer(ResponseSchema, frozen=True, kw_only=True):
    """One try at pulling; `code` is null while it runs."""

    number: Annotated[int, Meta(ge=1)]
    started_at: Moment
    ended_at: Moment | None
    code: str | None
    reason: str | None
    offset: Size
    received_bytes: Size
    wait_seconds: Seconds
    hops: list[HopAnswer]
    url: str
    connections: Annotated[int, Meta(ge=1)]
    truth: Annotated[
        AttemptTruth | None,
        Meta(description="What really ended it, where `code` is less; for administrators alone, else null."),
    ]


class BucketAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The place of the bucket of an s3:// URL."""

    endpoint: str | None
    region: str | None
    addressing: Literal["auto", "path", "virtual"]
    signed: Annotated[bool, Meta(description="Whether there were keys; they are never shown.")]


class SubmissionAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The submission."""

    disk_format: str | None
    container_format: str | None
    checksum: str | None
    max_bytes: Size
    min_disk: int
    min_ram: int
    tags: list[str]
    properties: dict[str, str]
    visibility: Visibility
    headers: Annotated[list[str], Meta(description="Names alone; values are never shown.")]
    mirrors: Annotated[list[str], Meta(description="Without their secrets.")]
    checksum_url: str | None
    checksum_signature_url: str | None
    s3: BucketAnswer | None
    client_sha256: Annotated[str, Meta(description="Of the client certificate, in DER form.")] | None
    catalogue: CatalogueOrigin | None
    ca_sha256: Annotated[
        list[str], Meta(description="Of each certificate of its own authorities, in DER form.")
    ]
    disk: Annotated[str, Meta(description="Which disk of an archive, by name or number.")] | None
    convert_to: Literal["as-received", "raw", "qcow2"] | None
    notify_url: Annotated[str, Meta(description="Without its secrets.")] | None
    target_image_id: Annotated[str, Meta(description="An image at the target that waits for bytes.")] | None


class ImportLinks(ResponseSchema, frozen=True, kw_only=True):
    """Links from an import."""

    self: str
    events: str
    provenance: str
    attestation: str
    image: str


class TruthAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The failure that really ended an import, where submitters get a vaguer code."""

    code: str
    message: str
    advice: str


class TargetAnswer(ResponseSchema, frozen=True, kw_only=True):
    """An image on its way into the target image service."""

    url: str
    image_id: Annotated[str, Meta(description="There.")]
    is_away: Annotated[bool, Meta(description="The image is there alone; nothing of it stayed here.")]
    is_made: Annotated[bool, Meta(description="Its record there was made by the import.")]
    status: Annotated[
        str | None, Meta(description="Of the image there, as last seen; left: it could not be removed again.")
    ]
    sent_bytes: int
    size: int | None
    percent: float | None


class ImportAnswer(ResponseSchema, frozen=True, kw_only=True):
    """One import: state, progress, attempts, and at the end its verdict."""

    id: str
    state: State
    phase: Literal["connecting", "pulling", "verifying", "converting", "delivering", "committing"] | None
    method: str
    url: Annotated[str, Meta(description="Without its secrets.")]
    name: str | None
    image_id: str
    progress: Progress
    attempt: Annotated[int, Meta(ge=0)]
    attempts: list[AttemptAnswer]
    redirects: list[HopAnswer]
    format: FormatVerdict | None
    digests: Annotated[dict[str, str], Meta(description="Of what is kept: those of the image.")]
    stages: Annotated[
        dict[str, Any],
        Meta(description="What was done to the received bytes; empty where they are kept as they came."),
    ]
    target: (
        Annotated[
            TargetAnswer,
            Meta(description="How far the image has come at the target; null where images stay here."),
        ]
        | None
    )
    verified_by: str
    sums_signature: Annotated[
        Literal["good", "expired-key", "revoked-key", "invalid", "unknown-key"] | None,
        Meta(
            description="What the signature on the checksum file is worth: good, or why it proves nothing; "
            "null where it has none, or was not compared with."
        ),
    ]
    length_verified: Annotated[
        bool | None,
        Meta(description="False: the source did not say where its body ends, so it may have been cut short."),
    ]
    verdict: Verdict | None
    truth: Annotated[
        TruthAnswer | None, Meta(description="What really ended it; for administrators alone, else null.")
    ]
    notice: Annotated[Notice, Meta(description="Null when nobody is notified of the import's end.")] | None
    submission: SubmissionAnswer
    project_id: str
    user_id: str
    request_id: str | None
    created_at: Moment
    started_at: Moment | None
    updated_at: Moment
    ended_at: Moment | None
    links: ImportLinks


class ImportsAnswer(ResponseSchema, frozen=True, kw_only=True, omit_defaults=True):
    """A page of imports; `next` is there when there are more."""

    imports: list[ImportAnswer]
    next: str | msgspec.UnsetType = msgspec.UNSET
