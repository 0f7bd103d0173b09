"""Answers about the service itself: its limits, codes and health, and how it refuses."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fetcher.api.openapi.schemas.base import ResponseSchema


class LimitAnswer(ResponseSchema, frozen=True, kw_only=True):
    """One limit in force."""

    description: str
    type: Literal["integer", "number", "boolean", "string", "array"]
    value: Any
    guard: str


class LimitsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Every limit in force by its name."""

    limits: dict[str, LimitAnswer]


class OptionsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The JSON schema of a submission, and the limits in force."""

    fields: dict[str, Any]
    limits: dict[str, LimitAnswer]


class CaseAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Advice for the facts that it names."""

    case: str
    advice: str


class CodeAnswer(ResponseSchema, frozen=True, kw_only=True, omit_defaults=True):
    """The meaning of a code."""

    code: str
    title: str
    advice: str
    advice_by_case: list[CaseAnswer]
    fields: list[str]
    public_code: str
    status: int
    ends: Literal["a request", "an import"]
    is_tried_again: bool
    link: str | msgspec.UnsetType = msgspec.UNSET


class CodesAnswer(ResponseSchema, frozen=True, kw_only=True):
    """All codes."""

    errors: list[CodeAnswer]


class HealthAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The process answers; how many imports wait and run."""

    status: Literal["ok"]
    imports: dict[str, int]


class ReadyAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The service's readiness for an import submitted now, and each reason against it.

    Args:
        engine: What wakes the hosts that share the records; only where there may be several.
        warnings: What is amiss without refusing imports.
    """

    status: Literal["ready", "not ready"]
    reasons: list[str]
    engine: str | msgspec.UnsetType = msgspec.UNSET
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class RootAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The entry points of the API."""

    name: str
    version: str
    links: dict[str, str]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A failure as a problem document (RFC 9457), with the facts of its code beside these fields."""

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Meta(description="Stable; GET /errors/{code} explains it.")]
    advice: str
    instance: str
    request_id: str | None


class FaultFacts(ResponseSchema, frozen=True, kw_only=True):
    """A failure in words for people, with what programs branch on beside them."""

    code: Annotated[int, Meta(description="The HTTP status.")]
    title: str
    message: str
    type: Annotated[str, Meta(description="Stable; GET /errors/{type} explains it.")]
    fields: dict[str, Any]
    request_id: str | None


class Fault(ResponseSchema, frozen=True, kw_only=True):
    """The form of errors that Image API clients read."""

    error: FaultFacts
