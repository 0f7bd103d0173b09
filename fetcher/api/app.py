"""All faces together as one ASGI application."""

import asyncio
import re
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fetcher.api import documents, metadefs, page
from fetcher.api import image_v2 as v2
from fetcher.api.forwarded import Forwarded
from fetcher.api.hosts import is_for_us
from fetcher.api.image_v2.cross_origin import cross_origin
from fetcher.api.image_v2.faults import fault
from fetcher.api.image_v2.paths import PlainPaths, allowed_methods
from fetcher.api.image_v2.versions import choices
from fetcher.api.inbound.bodies import BODY, BodyRoom
from fetcher.api.inbound.connection import CROWDED, IS_GONE
from fetcher.api.inbound.shares import SHARE, Shares
from fetcher.api.openapi import routes as openapi
from fetcher.api.ops import health, metrics
from fetcher.api.prefix import Prefix
from fetcher.api.problems import problem
from fetcher.api.routing import ByShape
from fetcher.api.services import services_of
from fetcher.api.submit import (
    attestations,
    catalogue,
    discovery,
    exports,
    imports,
    links,
    probe,
    schedules,
    streams,
)
from fetcher.config import Current
from fetcher.errors import (
    Failure,
    InternalFault,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Shortage,
    TooManyConnections,
)
from fetcher.ids import new_id
from fetcher.index.values import READER, Reader
from fetcher.shortage import is_shortage

log = structlog.get_logger()


def failure_answer(failure: Failure, request: Request) -> Response:
    """Return a failure in the form that the clients of this face read."""
    return (fault if request.url.path.startswith("/v2/") else problem)(failure, request)


async def root(request: Request) -> Response:
    """`GET /`: where everything begins; the page for browsers, the Image API's versions for programs."""
    return await (page.home if page.wants_page(request) else choices)(request)


GLOBAL_ID = re.compile(r"req-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _global_id(scope: Scope) -> dict[str, str]:
    """Return the id that the calling service gave to what it does for its user, for our log lines.

    Source: oslo.context, `global_request_id`; OpenStack's API SIG, "Request IDs".
    """
    sent = Headers(scope=scope).get("x-openstack-request-id", "")
    return {"global_request_id": sent} if GLOBAL_ID.fullmatch(sent) else {}


def _line(scope: Scope) -> dict[str, str]:
    return {"method": scope["method"], "path": scope["path"]}


class Reserved:
    """Keeps the last places for connections to admins, when all others are taken.

    Who asks is known only when the request is there, so its connection has
    such a place already; it is given back with the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request on a reserved place, unless an admin makes it."""
        if scope.get(CROWDED):
            request = Request(scope, receive)
            try:
                actor = await services_of(request).identify(request)
                failure: Failure | None = None if actor.is_admin else TooManyConnections()
            except Failure as error:
                failure = error
            if failure is not None:
                await failure_answer(failure, request)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class RequestContext:
    """Gives each request an id, in the answer and on every log line, and checks whom it was meant for.

    In local mode everybody who reaches the port is let in, so a request must
    name this machine as its host: a web page that points its own name at
    loopback (DNS rebinding) does not.

    Args:
        current: What is in force now.
    """

    def __init__(self, app: ASGIApp, current: Current) -> None:
        self._app = app
        self._current = current
        self._shares = Shares(lambda: current.settings.inbound.max_requests_per_project)
        self._bodies = BodyRoom(lambda: current.settings.inbound.max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = f"req-{new_id()}"
        structlog.contextvars.clear_contextvars()
        global_id = _global_id(scope)
        structlog.contextvars.bind_contextvars(request_id=scope["request_id"], **global_id)
        seconds = self._current.settings.inbound.statement_seconds
        READER.set(Reader(seconds, scope.get(IS_GONE, lambda: False), asyncio.current_task()))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                if global_id:
                    log.info("request.answered", **_line(scope), status=message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-OpenStack-Request-ID"] = scope["request_id"]
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            scope[BODY] = body = self._bodies.body()
            scope[SHARE] = share = self._shares.share()
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                body.release()
                share.leave()
        else:
            await failure_answer(refusal, Request(scope, receive))(scope, receive, send_with_id)

    def _refusal(self, scope: Scope) -> Failure | None:
        """Judge what is the same for every request."""
        settings = self._current.settings
        most = settings.inbound.max_query_fields
        if scope["query_string"].count(b"&") >= most:
            return InvalidRequest(reason=f"a URL has at most {most} parameters")
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return InvalidRequest(reason="the URL has a NUL character (%00), which no text may have")
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if not is_for_us(hosts, settings):
            return InvalidRequest(field="Host", reason="the Host header does not name this machine")
        return None


async def _failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, Failure)
    log.info("request.refused", code=error.code, detail=str(error), path=request.url.path)
    return failure_answer(error, request)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds: dict[int, Failure] = {
        404: NotFound(what=request.url.path),
        405: MethodNotAllowed(method=request.method),
    }
    failure = kinds.get(error.status_code) or InvalidRequest(reason=str(error.detail))
    if page.wants_page(request) and not request.url.path.startswith("/v2/"):
        answer = await page.failed(failure)(request)
    else:
        answer = failure_answer(failure, request)
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["Allow"] = allowed_methods(request.app.router.routes, request.scope)
    return answer


async def _gone(request: Request, _error: Exception) -> Response:
    """Answer nobody: the client hung up, or was given up, before its body was there."""
    log.info("request.given_up", path=request.url.path)
    return Response(status_code=400)


async def _of_the_machine(request: Request, error: Exception) -> Response:
    """Tell a shortage as what it is: 503, and when to come back."""
    if is_shortage(error):
        return await _failure(request, Shortage(reason=str(error)))
    return await _fault(request, error)


async def _fault(request: Request, error: Exception) -> Response:
    log.error("request.fault", path=request.url.path, error=repr(error), exc_info=error)
    if page.wants_page(request) and request.url.path.startswith("/page/"):
        return page.problem_page(InternalFault(), None, request)
    return failure_answer(InternalFault(), request)


def build_app(current: Current, lifespan: Any) -> Starlette:
    """Put the faces together.

    Args:
        lifespan: Opens the parts and yields the state of requests.
    """
    app = Starlette(
        routes=[
            Route("/", root, methods=["GET"]),
            *health.routes,
            *metrics.routes,
            *openapi.routes,
            *discovery.routes,
            *probe.routes,  # Before the routes of one import, whose id could be anything.
            *imports.routes,
            *attestations.routes,
            *catalogue.routes,
            *schedules.routes,
            *exports.routes,
            *links.routes,
            *streams.routes,
            *v2.routes,
            *metadefs.routes,
            *page.routes,
            *documents.routes,
        ],
        middleware=[
            Middleware(Forwarded, current=current),
            Middleware(Prefix, current=current),
            Middleware(PlainPaths),
            Middleware(RequestContext, current=current),
            *cross_origin(current.settings),
            Middleware(metrics.Counted),
            Middleware(Reserved),
        ],
        exception_handlers={
            Failure: _failure,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            OSError: _of_the_machine,
            MemoryError: _of_the_machine,
            Exception: _fault,
        },
        lifespan=lifespan,
    )
    app.router.middleware_stack = ByShape(app.router)
    app.router.redirect_slashes = False  # `/v2/images/` names an image without an id: 404, not a list.
    return app
