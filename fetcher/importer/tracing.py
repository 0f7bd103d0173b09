"""Traces of pulls, where OpenTelemetry is installed and set up by the operator; nothing otherwise."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from fetcher import __version__
from fetcher.errors import Failure

try:
    from opentelemetry import context, trace

    api: Any = trace
except ImportError:  # The extra `otel` is not installed.
    api = None

Fact = str | int | float | bool


def span(name: str, *, is_first: bool = False, **facts: Fact | None) -> AbstractContextManager[None]:
    """Trace the block as one step; steps inside it are shown as its parts.

    Args:
        is_first: Begins a trace of its own: whoever made room for it is no part of its story.
    """
    return _span(name, is_first=is_first, facts=facts) if is_set_up() else nullcontext()


def is_set_up() -> bool:
    """Return whether a destination for traces is configured."""
    return api is not None and not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider)


@contextmanager
def _span(name: str, *, is_first: bool, facts: dict[str, Fact | None]) -> Iterator[None]:
    tracer = api.get_tracer("fetcher", __version__)
    beginning = context.Context() if is_first else None
    with tracer.start_as_current_span(
        name,
        context=beginning,
        attributes=_known(facts),
        record_exception=False,
        set_status_on_exception=False,
    ):
        try:
            yield
        except Failure as failure:
            fail(failure.code)
            raise


def event(name: str, **facts: Fact | None) -> None:
    """Note something that happened within the present step; facts that are None are left out."""
    if is_set_up():
        api.get_current_span().add_event(name, _known(facts))


def fail(code: str) -> None:
    """Mark the present step as one that ended badly."""
    if is_set_up():
        api.get_current_span().set_status(api.Status(api.StatusCode.ERROR, code))


def _known(facts: dict[str, Fact | None]) -> dict[str, Fact]:
    return {f"fetcher.{name}": value for name, value in facts.items() if value is not None}
