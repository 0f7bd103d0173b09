"""JSON documents that clients of the Image API send, whatever they call them."""

from typing import TypeVar

from starlette.requests import Request

from fetcher.api.body import beside, convert, parse, read_body
from fetcher.errors import WrongMediaType

JSON = "application/json"
OWN_SITE = (None, "same-origin", "none")

T = TypeVar("T")


async def read_document(request: Request, kind: type[T]) -> T:
    """Read a JSON body into a type; its Content-Type may be missing or wrong, as `curl -d` sends it.

    Raises:
        WrongMediaType: A web page of another site sent the body, which no browser asks us about.
        InvalidRequest: The body is not what the type wants; the field is named.
        RequestTooLarge: The body is longer than a request may be.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != JSON and is_from_a_page(request):
        raise WrongMediaType(sent=sent or "none", accepted=JSON)
    body = await read_body(request)
    return convert(await beside(request, body, lambda: parse(body)), kind)


def is_from_a_page(request: Request) -> bool:
    """Return whether a browser sent the request for a page that may be another site's.

    A page may send a form anywhere unasked; every current browser adds one of
    these two fields to it, and no command-line client does.

    Source: Fetch Standard, "Origin header"; Fetch Metadata Request Headers section 2.3.
    """
    return "origin" in request.headers or request.headers.get("sec-fetch-site") not in OWN_SITE
