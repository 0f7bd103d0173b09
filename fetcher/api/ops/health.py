"""Liveness and readiness, for probes, which have no token."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.json_answers import JsonAnswer
from fetcher.api.services import Services, services_of
from fetcher.descriptors import are_short
from fetcher.errors import StoreFailed

NO_ROOM = "the store has no room"
RECENT_SECONDS = 60.0
NO_STORE = {"Cache-Control": "no-store"}


async def healthz(request: Request) -> Response:
    """`GET /healthz`: the process answers."""
    document = {"status": "ok", "imports": services_of(request).importer.counts()}
    return JsonAnswer(document, headers=NO_STORE)


async def readyz(request: Request) -> Response:
    """`GET /readyz`: it can take an import now, or each reason why it cannot."""
    reasons = await obstacles(services_of(request))
    document: dict[str, object] = {"status": "not ready" if reasons else "ready", "reasons": reasons}
    engine = services_of(request).engine
    if engine.is_shared:
        document["engine"] = engine.host.engine
    if warnings := [*services_of(request).maintenance.warnings, *engine.troubles]:
        document["warnings"] = warnings
    return JsonAnswer(document, 503 if reasons else 200, NO_STORE)


def _closed(services: Services) -> Iterator[str]:
    if are_short():
        yield "the machine is short of file descriptors"
    if not services.importer.is_open:
        yield "it is starting or stopping"
    if "api" not in services.engine.host.roles:
        yield "this host is a worker, and takes nothing from clients"


async def obstacles(services: Services) -> list[str]:
    """Each reason why an import submitted now would not go well; none tells where anything lies."""
    found = list(_closed(services))
    since = datetime.now(UTC) - timedelta(seconds=RECENT_SECONDS)
    try:
        if await services.index.statistics.last_code(since) == StoreFailed.code:
            found.append("the last import could not be stored")
    except StoreFailed:
        found.append("the index cannot be read")
    else:
        found += await services.probes.reasons(
            services.index, services.store, services.current.settings.size.max_bytes
        )
    try:
        if services.store.free_bytes() <= 0 and NO_ROOM not in found:
            found.append(NO_ROOM)
    except StoreFailed:
        found.append("the store cannot be reached")
    found += services.supervisor.troubles()
    found += services.maintenance.troubles
    if services.importer.counts()["queued"] >= services.current.settings.imports.max_queued:
        found.append("the queue is full")
    return found


routes = [
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
]
