"""What the code of the Image API's routes cannot say of itself, for the API document."""

from collections.abc import Callable
from typing import Any

from fetcher import errors
from fetcher.api.image_v2 import (
    attestation,
    cache,
    download,
    healthcheck,
    image_data,
    images,
    imports,
    info,
    listing,
    locations,
    members,
    patch,
    schemas,
    tags,
    tasks,
    versions,
)
from fetcher.api.image_v2.record import TASK_STATUS
from fetcher.api.openapi import response_schemas as shapes
from fetcher.api.openapi.operations import JSON, TEXT, Named, Operation, Parameter
from fetcher.attest.dsse import MEDIA_TYPE
from fetcher.index.values import SORT_KEYS, TASK_ORDERS

TAG = "Image API v2"
BYTES = image_data.MEDIA_TYPE

_TEXT = {"type": "string"}
_BODY_ENDS = (errors.WrongMediaType, errors.RequestTooLarge)
_CHANGE_ENDS = (errors.UnknownImage, errors.Conflict, errors.QuotaExceeded)
_SENT_ENDS = (
    *(errors.UnknownImage, errors.WrongMediaType, errors.Conflict, errors.Cancelled, errors.NotReady),
    *(errors.QueueFull, errors.TooManyBytes, errors.QuotaExceeded, errors.StoreFull, errors.Interrupted),
    *(errors.SourceTooSlow, errors.DeadlinePassed, errors.Truncated, errors.VirtualSizeExceeded),
    *(errors.FormatUnknown, errors.FormatMismatch, errors.FormatAmbiguous, errors.FormatUnsafe),
)


def _page(marker: str, keys: tuple[str, ...]) -> tuple[Parameter, ...]:
    directions = {"type": "array", "items": {"enum": ["asc", "desc"]}, "maxItems": len(keys)}
    return (
        ("limit", {"type": "integer", "minimum": 0}, "At most this many; 0 is none."),
        ("marker", _TEXT, f"Go on after this {marker}'s id."),
        ("sort", _TEXT, "KEY:asc or KEY:desc, several with commas between."),
        ("sort_key", {"type": "array", "items": {"enum": list(keys)}}, "An older way to say it."),
        ("sort_dir", directions, "One for all keys, or as many as keys."),
    )


_FILTERS: tuple[Parameter, ...] = (
    *((name, _TEXT, f"Only this {name}; in:A,B for any of several.") for name in listing.TEXTS),
    *((name, {"type": "integer", "minimum": 0}, f"Only this {name}.") for name in listing.NUMBERS),
    ("size_min", {"type": "integer", "minimum": 0}, "Only at least so many bytes."),
    ("size_max", {"type": "integer", "minimum": 0}, "Only at most so many bytes."),
    *((name, {"type": "boolean"}, f"Only where {name} is so.") for name in listing.SWITCHES),
    *((name, _TEXT, "Only then; gt:, gte:, lt:, lte:, neq: before or after.") for name in listing.MOMENTS),
    *((name, _TEXT, f"Only with this {name}.") for name in (*listing.DIGESTS, "tag", "owner")),
    ("visibility", {"enum": list(listing.VISIBILITIES)}, "Only images that are seen so."),
    ("member_status", {"enum": list(listing.MEMBER_STATUSES)}, "Of images shared with the caller."),
)
_RANGE: tuple[Parameter, ...] = (
    ("Range", _TEXT, "bytes=FIRST-LAST: a part, answered with 206."),
    ("If-Range", _TEXT, "The part only of this version."),
    ("If-None-Match", _TEXT, "Nothing where it is this version still."),
)


def _one(kind: Any, *ends: type[errors.Failure], **more: Any) -> Operation:
    return Operation(tag=TAG, answers={200: kind}, ends_in=ends, **more)


def _done(*ends: type[errors.Failure], **more: Any) -> Operation:
    return Operation(tag=TAG, answers={204: None}, ends_in=ends, **more)


_VERSIONS = Operation(
    tag="Discovery",
    answers={200: shapes.VersionsAnswer},
    is_open=True,
    words="The versions of the Image API, the current one first.",
)

OPERATIONS: dict[Callable[..., Any], Operation] = {
    versions.versions: _VERSIONS,
    info.imports: _one(Named("ImportInfo")),
    info.stores: _one(shapes.StoresAnswer),
    info.stores_detail: _one(shapes.StoresDetailAnswer),
    healthcheck.healthcheck: Operation(tag="Operation", answers={200: TEXT, 503: TEXT}, is_open=True),
    cache.nothing: Operation(tag=TAG, answers={404: shapes.Fault}),
    locations.listing: _one(Named("Locations"), errors.UnknownImage),
    locations.add: Operation(
        tag=TAG,
        bodies={JSON: locations.LocationBody},
        answers={202: None},
        ends_in=(
            *(errors.UnknownImage, errors.InvalidUrl, errors.ChecksumRequired, errors.Conflict),
            *(errors.QueueFull, errors.NotReady, errors.QuotaExceeded, *_BODY_ENDS),
        ),
    ),
    info.usage: _one(shapes.UsageAnswer),
    schemas.show: _one(
        dict[str, Any],
        errors.NotFound,
        path={"name": {"enum": [f"{name}{end}" for name in schemas.SINGLE for end in ("", "s")]}},
    ),
    tasks.listing: _one(
        Named("Tasks"),
        query=(
            *_page("task", tuple(TASK_ORDERS)),
            ("status", {"enum": list(dict.fromkeys(TASK_STATUS.values()))}, "Only those that stand so."),
            ("type", _TEXT, f"Only of this type; there is {tasks.TYPE}."),
        ),
    ),
    tasks.create: Operation(tag=TAG, answers={}),
    tasks.show: _one(Named("Task"), errors.UnknownImport, words="One import as a task."),
    tasks.of_image: _one(Named("Tasks"), errors.UnknownImage),
    images.listing: _one(Named("Images"), query=(*_page("image", tuple(SORT_KEYS)), *_FILTERS)),
    images.create: Operation(
        tag=TAG,
        bodies={JSON: Named("NewImage")},
        answers={201: Named("Image")},
        ends_in=(*_BODY_ENDS, errors.Conflict, errors.QuotaExceeded),
    ),
    images.show: _one(Named("Image"), errors.UnknownImage, words="One image's record."),
    images.change: _one(
        Named("Image"),
        *_BODY_ENDS,
        *_CHANGE_ENDS,
        bodies={patch.NEW: Named("Patch"), patch.OLD: Named("OldPatch")},
    ),
    images.delete: _done(errors.UnknownImage, errors.Conflict),
    images.deactivate: _done(errors.UnknownImage),
    images.reactivate: _done(errors.UnknownImage, words="Everybody who sees it gets the bytes again."),
    download.download: Operation(
        tag=TAG,
        answers={200: BYTES, 204: None, 206: BYTES, 304: None},
        ends_in=(errors.UnknownImage, errors.RangeNotSatisfiable),
        headers=_RANGE,
    ),
    attestation.attestation: Operation(
        tag=TAG,
        answers={200: MEDIA_TYPE},
        ends_in=(errors.UnknownImage, errors.NoAttestation, errors.AttestationUnavailable),
    ),
    image_data.upload: _done(*_SENT_ENDS, bodies={BYTES: None}),
    image_data.stage: _done(*_SENT_ENDS, bodies={BYTES: None}),
    imports.start: Operation(
        tag=TAG,
        bodies={JSON: imports.ImportBody},
        answers={202: None},
        ends_in=(
            *(errors.UnknownImage, errors.InvalidUrl, errors.ChecksumRequired, errors.Conflict),
            *(errors.QueueFull, errors.NotReady, errors.QuotaExceeded, *_BODY_ENDS),
        ),
        headers=(("X-Image-Meta-Store", _TEXT, "The store to keep it in; there is fs."),),
    ),
    members.listing: _one(Named("Members"), errors.UnknownImage),
    members.show: _one(
        Named("Member"), errors.UnknownImage, errors.UnknownMember, words="What one member said."
    ),
    members.add: _one(Named("Member"), *_BODY_ENDS, *_CHANGE_ENDS, bodies={JSON: members.MemberBody}),
    members.answer: _one(
        Named("Member"),
        *_BODY_ENDS,
        *(errors.UnknownImage, errors.UnknownMember),
        bodies={JSON: members.StatusBody},
    ),
    members.remove: _done(
        errors.UnknownImage, errors.UnknownMember, words="Share it with that project no longer."
    ),
    tags.add_tag: _done(
        errors.UnknownImage, errors.QuotaExceeded, words="Add a tag; one that is there stays."
    ),
    tags.remove_tag: _done(errors.UnknownImage, errors.NotFound, words="Take a tag away."),
}
