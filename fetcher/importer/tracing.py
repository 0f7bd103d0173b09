"""Traces of imports, where OpenTelemetry is installed and set up by the operator; nothing otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fetcher import __version__
from fetcher.errors import Failure

try:
    from opentelemetry import context, trace

    api: Any = trace
except ImportError:  # The extra `otel` is not installed.
    api = None

Attribute = str | int | float | bool


class Span:
    """A step of an import, as a trace shows it.

    Args:
        inner: OpenTelemetry's own; None where nobody traces.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def note(self, **facts: Attribute | None) -> None:
        """Add facts that became known; those that are None are left out."""
        if self._inner is not None:
            for name, value in facts.items():
                if value is not None:
                    self._inner.set_attribute(f"fetcher.{name}", value)

    def fail(self, code: str) -> None:
        """Mark the step as one that ended badly."""
        if self._inner is not None:
            self._inner.set_status(api.Status(api.StatusCode.ERROR, code))


@contextmanager
def span(name: str, *, is_first: bool = False, **facts: Attribute | None) -> Iterator[Span]:
    """Trace the block as one step; steps inside it are shown as its parts.

    Args:
        is_first: Begins a trace of its own: whoever made room for it is no part of its story.
    """
    if api is None:
        yield Span(None)
        return
    tracer = api.get_tracer("fetcher", __version__)
    beginning = context.Context() if is_first else None
    with tracer.start_as_current_span(
        name, context=beginning, record_exception=False, set_status_on_exception=False
    ) as inner:
        made = Span(inner)
        made.note(**facts)
        try:
            yield made
        except Failure as failure:
            made.fail(failure.code)
            raise
