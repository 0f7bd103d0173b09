"""Traces: each pull is one, with its attempts, its commit and the ends of its imports."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fetcher.importer import tracing
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


@pytest.fixture(scope="module")
def provided() -> InMemorySpanExporter:
    """What an operator sets up, once for a process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(provided: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """Only this test's."""
    provided.clear()
    yield provided
    provided.clear()


async def test_a_pull_is_one_trace(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    """Also when the end of one is what lets the next begin: each has its own imports."""
    good = behaviours.in_turn(behaviours.status(503), behaviours.serve(qcow2()))
    async with (
        Origin({"/d": good, "/p": behaviours.serve(HTML)}) as origin,
        Running(tmp_path, origin, imports={"max_running": 1}) as service,
    ):
        first = await service.submit(url=origin.url("/d?sig=hush"), disk_format="qcow2")
        second = await service.submit(url=origin.url("/p"), disk_format="qcow2")
        await service.ended(first["id"])
        await service.ended(second["id"])
    found = spans.get_finished_spans()
    roots = {span.events[-1].attributes["fetcher.import_id"]: span for span in found if span.name == "pull"}
    assert roots.keys() == {first["id"], second["id"]}
    assert all(root.parent is None for root in roots.values())
    parts = [span for span in found if span.context.trace_id == roots[first["id"]].context.trace_id]
    assert [span.name for span in parts] == ["attempt", "attempt", "commit", "pull"]
    assert [span.status.description for span in parts] == ["source-status", None, None, None]
    assert roots[first["id"]].events[-1].attributes["fetcher.code"] == "ok"
    assert roots[second["id"]].status.description == "format-mismatch"
    assert "hush" not in "".join(span.to_json() for span in found)


def test_without_opentelemetry_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not needed for anything else."""
    monkeypatch.setattr(tracing, "api", None)
    with tracing.span("pull", number=1):
        tracing.event("import.ended", code="ok")
        tracing.fail("x")
