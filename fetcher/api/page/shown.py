"""The frame of the page's handlers: failures become pages, strangers are sent to sign in."""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fetcher.api.page.render import HEADERS, page
from fetcher.api.page.session import Visitor, visitor_of
from fetcher.api.prefix import outside
from fetcher.api.problems import advice_of, status_of, summary
from fetcher.errors import Failure, Unauthenticated

log = structlog.get_logger()

Handler = Callable[[Request], Awaitable[Response]]
VisitorHandler = Callable[[Request, Visitor], Awaitable[Response]]


def shown(handler: VisitorHandler) -> Handler:
    """Make a handler out of one that wants to know who looks."""

    @wraps(handler)
    async def handle(request: Request) -> Response:
        try:
            visitor = await visitor_of(request)
        except Unauthenticated:
            return _to_sign_in(request)
        except Failure as failure:
            return problem_page(failure, None, request)
        try:
            return await handler(request, visitor)
        except Failure as failure:
            return problem_page(failure, visitor, request)

    return handle


def failed(failure: Failure) -> Handler:
    """Make a handler for what leads nowhere: the failure as a page, with the way back."""

    @shown
    async def handle(_request: Request, _visitor: Visitor) -> Response:
        raise failure

    return handle


def _to_sign_in(request: Request) -> Response:
    after = request.url.path if request.method == "GET" else "/"
    target = outside(f"/page/sign-in?after={quote(after)}")
    if request.headers.get("hx-request") == "true":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": target, **HEADERS})
    return RedirectResponse(target, HTTPStatus.SEE_OTHER, HEADERS)


def problem_page(failure: Failure, visitor: Visitor | None, request: Request) -> Response:
    """Return a page that says what went wrong, and what to do."""
    log.info("request.refused", code=failure.code, detail=str(failure), path=request.url.path)
    public = failure.public()
    title = summary(type(public)) if public.hidden else str(public)
    return page(
        "problem.html",
        visitor,
        status=status_of(public),
        title=title,
        advice=advice_of(public),
        code=public.code,
        request_id=request.scope.get("request_id"),
    )


def see_other(target: str) -> Response:
    """Send the browser on after a form, so that loading again sends nothing twice."""
    return RedirectResponse(outside(target), HTTPStatus.SEE_OTHER, HEADERS)
