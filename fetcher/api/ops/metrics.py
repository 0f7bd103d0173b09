"""Metrics for Prometheus: imports by state and code, bytes, rates, queue, guards, disk, index, requests."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fetcher import __version__
from fetcher.aio.loop_watch import LoopWatch
from fetcher.api.services import Services, services_of
from fetcher.engine.values import HostState
from fetcher.errors import Forbidden
from fetcher.index.values import Ended

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
IMPORT_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600)
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)
IMPORT_BYTES = tuple(float(4**power) * 1024 for power in range(3, 15))


class Metrics(Collector):
    """Everything counted for one running service, on a registry of its own.

    What ended is taken from the audit trail, so that nothing is missed between
    two looks; what stands this moment is asked of the parts when somebody looks.

    Args:
        services: Whose parts.
        loop_watch: Over the event loop that serves.
    """

    def __init__(self, services: Services, loop_watch: LoopWatch) -> None:
        self._services = services
        self._loop_watch = loop_watch
        self._number = 0
        self._totals: Any = None
        self._notices_waiting = 0
        self._hosts: list[HostState] = []
        self._reading = asyncio.Lock()
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._ended = Counter(
            "fetcher_imports_ended",
            "Imports that ended, by state and code.",
            ["state", "code"],
            registry=self.registry,
        )
        self._bytes = Counter(
            "fetcher_import_bytes",
            "Bytes received by imports that ended.",
            ["state"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "fetcher_import_seconds",
            "Of an import, from start to end.",
            ["state"],
            buckets=IMPORT_SECONDS,
            registry=self.registry,
        )
        self._sizes = Histogram(
            "fetcher_import_size_bytes",
            "Bytes of an import.",
            ["state"],
            buckets=IMPORT_BYTES,
            registry=self.registry,
        )
        self._requests = Histogram(
            "fetcher_request_seconds",
            "Until an answer's last byte, by route and status.",
            ["method", "route", "status"],
            buckets=REQUEST_SECONDS,
            registry=self.registry,
        )
        self._sent = Counter(
            "fetcher_sent_bytes", "Of answers' bodies, by route.", ["route"], registry=self.registry
        )
        self._answers: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}
        self.registry.register(self)

    async def begin(self) -> None:
        """Count from here on; what ended before this process is not its own."""
        self._number = await self._services.index.statistics.last_ended()

    def answered(self, method: str, route: str, status: int, seconds: float, sent: int) -> None:
        """Count an answered request.

        Args:
            route: The pattern, never the path itself: ids would make a series each.
            sent: Bytes of the body.
        """
        key = method, route, status
        if key not in self._answers:
            self._answers[key] = self._requests.labels(method, route, str(status)), self._sent.labels(route)
        time, size = self._answers[key]
        time.observe(seconds)
        size.inc(sent)

    async def read(self) -> None:
        """Take up what ended since the last look."""
        async with self._reading:
            statistics = self._services.index.statistics
            while found := await statistics.ended_after(self._number):
                for ended in found:
                    self._count(ended)
                self._number = found[-1].number
            self._totals = await statistics.totals()
            self._notices_waiting = await self._services.index.notices.waiting()
            self._hosts = await self._services.engine.hosts()

    def _count(self, ended: Ended) -> None:
        state = "succeeded" if ended.action == "activated" else ended.action
        self._ended.labels(state, ended.code).inc()
        self._bytes.labels(state).inc(ended.size)
        self._sizes.labels(state).observe(ended.size)
        if ended.seconds is not None:
            self._seconds.labels(state).observe(max(0.0, ended.seconds))

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the families below are made when they are asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what stands this moment."""
        yield _gauge("info", "The version that runs.", {(__version__,): 1}, ["version"])
        yield from self._imports()
        yield from self._notices()
        if self._hosts:
            yield from self._leases()
        yield from self._guards()
        yield self._restarts()
        yield from self._holds()
        yield from self._disk()

    def _imports(self) -> Iterator[Metric]:
        importer, caps = self._services.importer, self._services.current.settings.imports
        counts = importer.counts()
        running = importer.running()
        yield _gauge("imports", "Imports that wait or run.", {(k,): v for k, v in counts.items()}, ["state"])
        limits = {("queued",): caps.max_queued, ("running",): caps.max_running}
        yield _gauge("imports_limit", "How many may wait or run.", limits, ["state"])
        phases: dict[tuple[str, ...], float] = {}
        for record in running:
            phase = record.phase.value if record.phase else record.state.value
            phases[phase,] = phases.get((phase,), 0) + 1
        yield _gauge("imports_by_phase", "What running imports are doing.", phases, ["phase"])
        rate = sum(record.bytes_per_second or 0.0 for record in running)
        yield _gauge("receiving_bytes_per_second", "All running imports together.", {(): rate})
        received = sum(record.received_bytes for record in running)
        yield _gauge("receiving_bytes", "Received so far by running imports.", {(): received})

    def _notices(self) -> Iterator[Metric]:
        words = "Attempts to notify receivers of an import's end, by how they ended."
        attempts = CounterMetricFamily("fetcher_notify_attempts", words, labels=["result"])
        for result, count in self._services.webhook_dispatcher.attempts.items():
            attempts.add_metric([result], count)
        yield attempts
        yield _gauge("notify_waiting", "Notifications not delivered yet.", {(): self._notices_waiting})

    def _leases(self) -> Iterator[Metric]:
        leases = {(host.name,): host.seconds for host in self._hosts}
        yield _gauge("host_lease_seconds", "Left of a host's lease; below 0, it is gone.", leases, ["host"])
        running = {(host.name,): host.running for host in self._hosts}
        yield _gauge("host_imports", "Imports that each host runs.", running, ["host"])
        places = {(host.name,): host.places for host in self._hosts}
        yield _gauge("host_pulls", "Pulls that each host has.", places, ["host"])

    def _guards(self) -> Iterator[Metric]:
        times = self._services.importer.context.guard_times
        seconds = CounterMetricFamily("fetcher_guard_seconds", "Spent in a guard.", labels=["guard"])
        size = CounterMetricFamily("fetcher_guard_bytes", "Shown to a guard.", labels=["guard"])
        for name in times.size:
            seconds.add_metric([name], times.seconds[name])
            size.add_metric([name], times.size[name])
        yield from (seconds, size)

    def _restarts(self) -> Metric:
        words = "Times that background work died and was started again."
        restarts = CounterMetricFamily("fetcher_task_restarts", words, labels=["task"])
        for name, count in self._services.supervisor.restarts.items():
            restarts.add_metric([name], count)
        return restarts

    def _holds(self) -> Iterator[Metric]:
        words = "Times that one callback kept all others waiting for longer than log.held_loop_seconds."
        holds = CounterMetricFamily("fetcher_loop_holds", words)
        holds.add_metric([], self._loop_watch.holds)
        seconds = CounterMetricFamily("fetcher_loop_held_seconds", "Of these holds together.")
        seconds.add_metric([], self._loop_watch.held_seconds)
        yield from (holds, seconds)

    def _disk(self) -> Iterator[Metric]:
        found = self._services.store.space()
        space = {("total",): found.total, ("free",): found.free, ("usable",): found.usable}
        yield _gauge(
            "disk_bytes", "The store's file system; usable is free less the reserve.", space, ["kind"]
        )
        index = {(part,): size for part, size in self._services.index.file_bytes().items()}
        yield _gauge("index_bytes", "The index and its write-ahead log.", index, ["part"])
        if self._totals is not None:
            yield _gauge("images", "Images in the index.", {(): self._totals.images})
            yield _gauge("blobs", "Blobs in the store.", {(): self._totals.blobs})
            yield _gauge("blob_bytes", "Bytes of all blobs.", {(): self._totals.size})
            yield _gauge("blobs_faulty", "Blobs found missing or corrupt.", {(): self._totals.faulty})
            yield _gauge(
                "scrub_age_seconds",
                "Since the blob unread for longest was read.",
                {(): _seconds_since(self._totals.oldest_check)},
            )


def _seconds_since(when: str | None) -> float:
    return 0.0 if when is None else (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()


def _gauge(
    name: str, words: str, values: Mapping[Any, float], labels: list[str] | None = None
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"fetcher_{name}", words, labels=labels or [])
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


class Counted:
    """Counts every answered request; streams of events are left out, since they last as long as they like."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, sent = 500, 0

        async def send_and_see(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            try:
                await send(message)
            finally:  # Of a file, the server says how far it got.
                sent += message.get("sent", 0) or len(message.get("body", b""))

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            route = _route_of(scope)
            if not route.endswith("/events"):
                method = scope["method"] if scope["method"] in METHODS else "other"
                counted: Metrics = scope["app"].state.metrics
                counted.answered(method, route, status, time.perf_counter() - began, sent)


def _route_of(scope: Scope) -> str:
    """Return the pattern of the route that answered; never the path, which anybody may invent."""
    route = scope.get("route")
    return route.path if isinstance(route, Route) else "none"


async def metrics(request: Request) -> Response:
    """`GET /metrics`: for Prometheus; an admin's token is needed where tokens are."""
    actor = await services_of(request).identify(request)
    if not actor.is_admin:
        raise Forbidden(reason="metrics are for operators")
    counted: Metrics = request.app.state.metrics
    await counted.read()
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(counted.registry), headers={"Content-Type": kind, "Cache-Control": "no-store"})


routes = [Route("/metrics", metrics, methods=["GET"])]
