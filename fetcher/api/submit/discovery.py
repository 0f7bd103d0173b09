"""The table of errors for clients: the meaning of each code."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.advice import cases
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url, status_of_kind, summary
from fetcher.errors import Failure, NotFound, RequestRefused, table


def describe(kind: type[Failure]) -> dict[str, object]:
    """One row of the table of errors, for its page of documentation."""
    public = kind.public_class or kind
    return {
        "code": kind.code,
        "title": summary(kind),
        "advice": "Each answer says what to do." if "{" in kind.advice else kind.advice,
        "advice_by_case": [{"case": case, "advice": said} for case, said in cases(kind.code)],
        "fields": [name for name in kind.names if name not in kind.hidden],
        "public_code": public.code,
        "status": status_of_kind(public),
        "ends": "a request" if issubclass(kind, RequestRefused) else "an import",
        "is_tried_again": public.retryable,
    }


async def error_page(request: Request) -> Response:
    """`GET /errors/{code}`: what a code means; the `type` of every problem document leads here."""
    kind = table().get(request.path_params["code"])
    if kind is None:
        raise NotFound(what=request.url.path)
    return JsonAnswer(describe(kind))


async def errors_index(request: Request) -> Response:
    """`GET /errors`: all codes."""
    base = base_url(request)
    return JsonAnswer(
        {"errors": [{"link": f"{base}/errors/{code}", **describe(kind)} for code, kind in table().items()]}
    )


routes = [
    Route("/errors", errors_index, methods=["GET"]),
    Route("/errors/{code}", error_page, methods=["GET"]),
]
