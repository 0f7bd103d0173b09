"""Facts about routes that their code cannot state: parameters, bodies, answers, and possible failures."""

from collections.abc import Callable
from typing import Any

import msgspec

from fetcher import errors
from fetcher.api.openapi.schemas.imports import ImportAnswer, ImportsAnswer
from fetcher.api.openapi.schemas.probes import ProbeAnswer
from fetcher.api.openapi.schemas.service import (
    CodeAnswer,
    CodesAnswer,
    HealthAnswer,
    LimitsAnswer,
    OptionsAnswer,
    ReadyAnswer,
)
from fetcher.api.ops import health, metrics
from fetcher.api.streams.metalink import MEDIA_TYPE as METALINK
from fetcher.api.submit import (
    attestations,
    catalogue,
    discovery,
    exports,
    imports,
    links,
    probe,
    schedule_body,
    schedules,
    streams,
)
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.attest.dsse import MEDIA_TYPE
from fetcher.errors import Failure
from fetcher.index.values import FILTERS
from fetcher.lifecycle import State

JSON, TEXT, BYTES = "application/json", "text/plain", "application/octet-stream"
# Every operation may end in these: a wrong Host; no token, no right, no identity service, a broken index.
OPEN_TO_ALL = (errors.InvalidRequest,)
ANYWHERE = (
    *(errors.InvalidRequest, errors.Unauthenticated, errors.Forbidden),
    *(errors.IdentityUnavailable, errors.StoreFailed),
)

Parameter = tuple[str, dict[str, Any], str]


class Named(msgspec.Struct, frozen=True):
    """A component that is made from what is in force, and so is no type."""

    name: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation's facts.

    Args:
        answers: By status: the type of the JSON, a media type for anything else, or None for nothing.
        bodies: What it takes, by media type: a type of JSON, or None for bytes.
        ends_in: Failures beyond those that every operation may end in.
        query: Parameters: names, schemas and what they are.
        path: Schemas of those in the path that are more than any text.
    """

    tag: str
    answers: dict[int, Any]
    bodies: dict[str, Any] = {}
    ends_in: tuple[type[Failure], ...] = ()
    query: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    path: dict[str, Any] = {}
    is_open: bool = False


_TEXT = {"type": "string"}
_PAGING = (
    ("limit", {"type": "integer", "minimum": 1}, "The most imports to return."),
    ("marker", _TEXT, "The id of the last import of the page before."),
)
_SUBMIT_ENDS = (
    *(errors.InvalidUrl, errors.ChecksumRequired, errors.QueueFull, errors.NotReady, errors.Forbidden),
    *(errors.UnknownName, errors.CatalogueUnusable, errors.SignatureRequired),
    *(errors.IdempotencyMismatch, errors.WrongMediaType, errors.RequestTooLarge),
)
_PUBLISHED_END = (errors.NotFound, errors.StoreFailed, errors.TooManyConnections)
_KEYS_END = (errors.StoreFailed, errors.AttestationUnavailable)
_KEY = (
    "Idempotency-Key",
    {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
    "A key of your own: the same request with the same key returns what the first one made, not another.",
)

OPERATIONS: dict[Callable[..., Any], Operation] = {
    imports.submit: Operation(
        tag="Imports",
        bodies={JSON: SubmitBody, imports.METALINK_TYPE: None},
        answers={202: ImportAnswer},
        ends_in=_SUBMIT_ENDS,
        headers=(_KEY,),
    ),
    probe.probe: Operation(
        tag="Imports",
        bodies={JSON: SubmitBody},
        answers={200: ProbeAnswer},
        ends_in=tuple(one for one in _SUBMIT_ENDS if one is not errors.IdempotencyMismatch),
    ),
    imports.listing: Operation(
        tag="Imports",
        answers={200: ImportsAnswer},
        ends_in=(errors.UnknownImport,),
        query=(
            *_PAGING,
            ("state", {"enum": [state.value for state in State]}, "Only imports in this state."),
            *((name, _TEXT, f"Only imports with this {name}.") for name in FILTERS if name != "state"),
        ),
    ),
    imports.options: Operation(tag="Discovery", answers={200: OptionsAnswer}),
    imports.show: Operation(tag="Imports", answers={200: ImportAnswer}, ends_in=(errors.UnknownImport,)),
    imports.cancel: Operation(
        tag="Imports",
        answers={204: None},
        ends_in=(errors.UnknownImport, errors.Conflict, errors.Forbidden),
    ),
    imports.events: Operation(
        tag="Imports", answers={200: "text/event-stream", 204: None}, ends_in=(errors.UnknownImport,)
    ),
    imports.provenance: Operation(
        tag="Imports", answers={200: dict[str, Any]}, ends_in=(errors.UnknownImport,)
    ),
    catalogue.listing: Operation(
        tag="Discovery",
        answers={200: catalogue.CatalogueListing},
        query=(
            ("q", _TEXT, "Words that the name or the title has to hold."),
            ("arch", _TEXT, "Only images for this architecture."),
            ("limit", {"type": "integer", "minimum": 1}, "At most this many; 100 where it is not given."),
        ),
    ),
    schedules.listing: Operation(
        tag="Schedules",
        answers={200: schedules.SchedulesAnswer},
        ends_in=(errors.UnknownSchedule,),
        query=(
            ("limit", {"type": "integer", "minimum": 1}, "The most schedules to return."),
            ("marker", _TEXT, "The id of the last schedule of the page before."),
        ),
    ),
    schedules.create: Operation(
        tag="Schedules",
        bodies={JSON: schedule_body.ScheduleBody},
        answers={201: schedules.ScheduleAnswer},
        ends_in=(
            *(errors.Conflict, errors.QuotaExceeded, errors.InvalidUrl),
            *(errors.WrongMediaType, errors.RequestTooLarge),
        ),
    ),
    schedules.show: Operation(
        tag="Schedules", answers={200: schedules.ScheduleAnswer}, ends_in=(errors.UnknownSchedule,)
    ),
    schedules.change: Operation(
        tag="Schedules",
        bodies={JSON: schedule_body.SchedulePatch, schedule_body.MERGE_PATCH: schedule_body.SchedulePatch},
        answers={200: schedules.ScheduleAnswer},
        ends_in=(
            *(errors.UnknownSchedule, errors.Conflict, errors.QuotaExceeded, errors.InvalidUrl),
            *(errors.WrongMediaType, errors.RequestTooLarge),
        ),
    ),
    schedules.remove: Operation(tag="Schedules", answers={204: None}, ends_in=(errors.UnknownSchedule,)),
    schedules.look: Operation(
        tag="Schedules", answers={202: schedules.ScheduleAnswer}, ends_in=(errors.UnknownSchedule,)
    ),
    attestations.attestation: Operation(
        tag="Imports",
        answers={200: MEDIA_TYPE},
        ends_in=(
            *(errors.UnknownImport, errors.UnknownImage),
            *(errors.NoAttestation, errors.AttestationUnavailable),
        ),
    ),
    attestations.keys: Operation(
        tag="Discovery", answers={200: attestations.KeysAnswer}, ends_in=_KEYS_END, is_open=True
    ),
    attestations.key: Operation(
        tag="Discovery",
        answers={200: attestations.PEM_TYPE},
        ends_in=(*_KEYS_END, errors.NotFound),
        is_open=True,
    ),
    imports.limits: Operation(tag="Discovery", answers={200: LimitsAnswer}),
    exports.submit: Operation(
        tag="Exports",
        bodies={JSON: exports.ExportBody},
        answers={202: exports.ExportAnswer},
        ends_in=(
            *(errors.InvalidUrl, errors.ReceiverForbidden, errors.SendLimit, errors.UnknownImage),
            *(errors.Conflict, errors.QueueFull, errors.BytesDamaged, errors.IdempotencyMismatch),
            *(errors.WrongMediaType, errors.RequestTooLarge),
        ),
        headers=(_KEY,),
    ),
    exports.listing: Operation(
        tag="Exports",
        answers={200: exports.ExportsAnswer},
        ends_in=(errors.UnknownExport,),
        query=(*_PAGING, ("state", {"enum": [state.value for state in State]}, "Only those in this state.")),
    ),
    exports.show: Operation(
        tag="Exports", answers={200: exports.ExportAnswer}, ends_in=(errors.UnknownExport,)
    ),
    exports.cancel: Operation(
        tag="Exports", answers={204: None}, ends_in=(errors.UnknownExport, errors.Conflict)
    ),
    exports.events: Operation(
        tag="Exports", answers={200: "text/event-stream", 204: None}, ends_in=(errors.UnknownExport,)
    ),
    links.create: Operation(
        tag="Links",
        bodies={JSON: links.LinkBody},
        answers={201: links.LinkAnswer},
        ends_in=(
            *(errors.UnknownImage, errors.Conflict, errors.BytesDamaged),
            *(errors.WrongMediaType, errors.RequestTooLarge),
        ),
    ),
    links.fetch: Operation(
        tag="Links",
        answers={200: BYTES, 206: BYTES, 304: None, 307: None},
        ends_in=(errors.LinkInvalid, errors.BytesDamaged, errors.RangeNotSatisfiable, errors.StoreFailed),
        query=(
            ("expires", {"type": "integer"}, "When it ends, in seconds since 1970."),
            ("key", _TEXT, "Which key signed it."),
            ("signature", _TEXT, "Over image, bytes, owner and end."),
        ),
        is_open=True,
    ),
    streams.listing: Operation(
        tag="Publishing", answers={200: dict[str, Any], 304: None}, ends_in=_PUBLISHED_END, is_open=True
    ),
    streams.metalink: Operation(
        tag="Publishing", answers={200: METALINK}, ends_in=_PUBLISHED_END, is_open=True
    ),
    streams.fetch: Operation(
        tag="Publishing",
        answers={200: BYTES, 206: BYTES, 304: None, 307: None},
        ends_in=(*_PUBLISHED_END, errors.BytesDamaged, errors.RangeNotSatisfiable),
        is_open=True,
    ),
    discovery.errors_index: Operation(tag="Discovery", answers={200: CodesAnswer}, is_open=True),
    discovery.error_page: Operation(
        tag="Discovery", answers={200: CodeAnswer}, ends_in=(errors.NotFound,), is_open=True
    ),
    health.healthz: Operation(tag="Operation", answers={200: HealthAnswer}, is_open=True),
    health.readyz: Operation(
        tag="Operation",
        answers={200: ReadyAnswer, 503: ReadyAnswer},
        is_open=True,
    ),
    metrics.metrics: Operation(tag="Operation", answers={200: TEXT}, ends_in=(errors.Forbidden,)),
}
