"""Facts about the Image API's routes that their code cannot state, for the API document."""

from collections.abc import Callable
from typing import Any

from fetcher import errors
from fetcher.api.image_v2 import cache, healthcheck, info, schemas, versions
from fetcher.api.image_v2.resources import (
    attestation,
    download,
    image_data,
    images,
    imports,
    listing,
    locations,
    members,
    patch,
    tags,
    tasks,
)
from fetcher.api.image_v2.resources.record import TASK_STATUS
from fetcher.api.openapi.operations import JSON, TEXT, Named, Operation, Parameter
from fetcher.api.openapi.schemas import image_api as image_schemas
from fetcher.api.openapi.schemas.service import Fault
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
        ("limit", {"type": "integer", "minimum": 0}, "The most entries to return; 0 returns none."),
        ("marker", _TEXT, f"The id of the last {marker} of the page before."),
        ("sort", _TEXT, "What to sort by: `KEY:asc` or `KEY:desc`, several separated by commas."),
        (
            "sort_key",
            {"type": "array", "items": {"enum": list(keys)}},
            "What to sort by, in the older form; with `sort_dir`.",
        ),
        ("sort_dir", directions, "The direction of each `sort_key`, or one for all of them."),
    )


_FILTERS: tuple[Parameter, ...] = (
    *((name, _TEXT, f"Only images with this {name}; `in:A,B` for any of several.") for name in listing.TEXTS),
    *(
        (name, {"type": "integer", "minimum": 0}, f"Only images with this {name}.")
        for name in listing.NUMBERS
    ),
    ("size_min", {"type": "integer", "minimum": 0}, "Only images of at least so many bytes."),
    ("size_max", {"type": "integer", "minimum": 0}, "Only images of at most so many bytes."),
    *((name, {"type": "boolean"}, f"Only images whose {name} has this value.") for name in listing.SWITCHES),
    *(
        (
            name,
            _TEXT,
            "Only images of this time; `gt:`, `gte:`, `lt:`, `lte:` or `neq:` before it compare.",
        )
        for name in listing.MOMENTS
    ),
    *((name, _TEXT, f"Only images with this {name}.") for name in (*listing.DIGESTS, "tag", "owner")),
    ("visibility", {"enum": list(listing.VISIBILITIES)}, "Only images with this visibility."),
    (
        "member_status",
        {"enum": list(listing.MEMBER_STATUSES)},
        "Of images shared with the caller, only those that it answered so.",
    ),
)
_RANGE: tuple[Parameter, ...] = (
    ("Range", _TEXT, "`bytes=FIRST-LAST` asks for a part, answered with 206."),
    ("If-Range", _TEXT, "An ETag: a part is sent only of this version, otherwise the whole."),
    ("If-None-Match", _TEXT, "An ETag: answered with 304 if the image still has it."),
)


def _one(kind: Any, *ends: type[errors.Failure], **more: Any) -> Operation:
    return Operation(tag=TAG, answers={200: kind}, ends_in=ends, **more)


def _done(*ends: type[errors.Failure], **more: Any) -> Operation:
    return Operation(tag=TAG, answers={204: None}, ends_in=ends, **more)


_VERSIONS = Operation(tag="Discovery", answers={200: image_schemas.VersionsAnswer}, is_open=True)

OPERATIONS: dict[Callable[..., Any], Operation] = {
    versions.versions: _VERSIONS,
    info.imports: _one(Named("ImportInfo")),
    info.stores: _one(image_schemas.StoresAnswer),
    info.stores_detail: _one(image_schemas.StoresDetailAnswer),
    healthcheck.healthcheck: Operation(tag="Operation", answers={200: TEXT, 503: TEXT}, is_open=True),
    cache.nothing: Operation(tag=TAG, answers={404: Fault}),
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
    info.usage: _one(image_schemas.UsageAnswer),
    schemas.show: _one(
        dict[str, Any],
        errors.NotFound,
        path={"name": {"enum": [f"{name}{end}" for name in schemas.SINGLE for end in ("", "s")]}},
    ),
    tasks.listing: _one(
        Named("Tasks"),
        query=(
            *_page("task", tuple(TASK_ORDERS)),
            ("status", {"enum": list(dict.fromkeys(TASK_STATUS.values()))}, "Only tasks with this status."),
            ("type", _TEXT, f"Only tasks of this type; there is `{tasks.TYPE}`."),
        ),
    ),
    tasks.create: Operation(tag=TAG, answers={}),
    tasks.show: _one(Named("Task"), errors.UnknownImport),
    tasks.of_image: _one(Named("Tasks"), errors.UnknownImage),
    images.listing: _one(Named("Images"), query=(*_page("image", tuple(SORT_KEYS)), *_FILTERS)),
    images.create: Operation(
        tag=TAG,
        bodies={JSON: Named("NewImage")},
        answers={201: Named("Image")},
        ends_in=(*_BODY_ENDS, errors.Conflict, errors.QuotaExceeded),
    ),
    images.show: _one(Named("Image"), errors.UnknownImage),
    images.change: _one(
        Named("Image"),
        *_BODY_ENDS,
        *_CHANGE_ENDS,
        bodies={patch.NEW: Named("Patch"), patch.OLD: Named("OldPatch")},
    ),
    images.delete: _done(errors.UnknownImage, errors.Conflict),
    images.deactivate: _done(errors.UnknownImage),
    images.reactivate: _done(errors.UnknownImage),
    download.download: Operation(
        tag=TAG,
        answers={200: BYTES, 204: None, 206: BYTES, 304: None, 307: None},
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
        headers=(("X-Image-Meta-Store", _TEXT, "The store to keep it in; there is `fs`."),),
    ),
    members.listing: _one(Named("Members"), errors.UnknownImage),
    members.show: _one(Named("Member"), errors.UnknownImage, errors.UnknownMember),
    members.add: _one(Named("Member"), *_BODY_ENDS, *_CHANGE_ENDS, bodies={JSON: members.MemberBody}),
    members.answer: _one(
        Named("Member"),
        *_BODY_ENDS,
        *(errors.UnknownImage, errors.UnknownMember),
        bodies={JSON: members.StatusBody},
    ),
    members.remove: _done(errors.UnknownImage, errors.UnknownMember),
    tags.add_tag: _done(errors.UnknownImage, errors.QuotaExceeded),
    tags.remove_tag: _done(errors.UnknownImage, errors.NotFound),
}
