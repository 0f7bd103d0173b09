"""The documents as a site, where `make docs` has built it: static files under a policy of their own."""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from fetcher import __version__
from fetcher.errors import NotFound

SITE = Path(__file__).parents[2] / "site" / __version__
HEADERS = {
    # The site marks colours and places with style attributes; its icons are in its style sheets.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; worker-src 'self'; "
    "connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def documents(request: Request) -> Response:
    """`GET /docs/{path}`: the documents of this version.

    Raises:
        NotFound: There is no such page, or `make docs` has not been run.
    """
    path = request.path_params.get("path", "")
    files = StaticFiles(directory=SITE, html=True, check_dir=False)
    try:
        answer = await files.get_response(path or ".", request.scope)
    except HTTPException as error:
        raise NotFound(what=f"{request.url.path}, or make docs has not built the documents") from error
    if isinstance(answer, RedirectResponse):  # To a path alone: who asks may know us by another name.
        answer = RedirectResponse(f"{request.url.path}/", 307)
    answer.headers.update(HEADERS)
    return answer


routes = [
    Route("/docs", documents, methods=["GET"]),
    Route("/docs/{path:path}", documents, methods=["GET"]),
]
