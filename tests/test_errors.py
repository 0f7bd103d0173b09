"""The table of errors: complete, stable, and safe to show."""

from typing import Any, get_type_hints

import pytest

from fetcher.errors import (
    AddressForbidden,
    ConnectFailed,
    Failure,
    InvalidRequest,
    NameUnresolved,
    SourceStatus,
    SourceUnreachable,
    StoreFailed,
    table,
)
from fetcher.importer.records.verdicts import end_of, verdict_of
from fetcher.lifecycle import ENDS

SAMPLES = {
    str: "x",
    int: 7,
    float: 1.5,
    list[str]: ["a", "b"],
    int | None: None,
    float | None: None,
    str | None: None,
}


def sample(kind: type[Failure]) -> Failure:
    hints = get_type_hints(kind)
    fields: dict[str, Any] = {}
    for name in kind.names:
        if not hasattr(kind, name):
            fields[name] = SAMPLES[hints[name]]
    return kind(**fields)


@pytest.mark.parametrize("kind", table().values(), ids=table().keys())
def test_every_failure_can_be_told(kind: type[Failure]) -> None:
    """Whatever ends an import has words, advice and a state, with every placeholder filled in."""
    failure = sample(kind)
    verdict = verdict_of(failure)
    assert verdict.title
    assert verdict.advice
    assert "{" not in verdict.title + verdict.advice + str(failure)
    assert end_of(failure) in ENDS
    assert table()[verdict.code] is type(failure.public())


def test_facts_are_given_by_name() -> None:
    """One that is missing or misspelt is found where the failure is made, not where it is told."""
    failure = InvalidRequest(reason="no", field="url")
    assert failure.fields() == {"reason": "no", "field": "url"}
    assert repr(failure) == "InvalidRequest(reason='no', field='url')"
    assert InvalidRequest(reason="no").field is None
    for facts in ({}, {"reason": "no", "feild": "url"}):
        with pytest.raises(TypeError, match=r"reason|feild"):
            InvalidRequest(**facts)


def test_codes_are_unique_and_well_formed() -> None:
    """Programs branch on codes."""
    codes = [kind.code for kind in table().values()]
    assert len(codes) == len(set(codes))
    assert all(code == code.lower() and " " not in code for code in codes)


@pytest.mark.parametrize(
    "kind", [AddressForbidden, NameUnresolved, ConnectFailed], ids=lambda kind: kind.code
)
def test_outsiders_cannot_tell_forbidden_from_unreachable(kind: type[Failure]) -> None:
    """One answer for every destination that is not reached, or our network could be mapped."""
    assert verdict_of(sample(kind)) == verdict_of(SourceUnreachable())
    assert end_of(sample(kind)) is end_of(SourceUnreachable())
    assert sample(kind).public().is_retryable() == SourceUnreachable().is_retryable()


def test_hidden_facts_stay_hidden() -> None:
    """A path of our disk is for the log only."""
    verdict = verdict_of(StoreFailed(reason="/srv/images: read-only"))
    assert "srv" not in verdict.title + verdict.advice
    assert verdict.fields == {}


@pytest.mark.parametrize(
    ("status", "again"), [(404, False), (403, False), (429, True), (503, True), (408, True), (999, False)]
)
def test_only_passing_statuses_are_tried_again(status: int, again: bool) -> None:
    """A missing file stays missing; an overloaded source recovers."""
    assert SourceStatus(status=status).is_retryable() is again
