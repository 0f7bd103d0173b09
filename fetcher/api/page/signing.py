"""Signing in with a token, and out."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.page.form_key import find_form_key
from fetcher.api.page.render import page
from fetcher.api.page.session import (
    FORM_COOKIE,
    TOKEN_COOKIE,
    Visitor,
    read_form,
    set_cookie,
    text_of,
)
from fetcher.api.page.shown import see_other
from fetcher.api.services import services_of
from fetcher.errors import Failure, Unauthenticated
from fetcher.model import Actor

NOBODY = Actor(project_id="", user_id="", roles=frozenset())


def _local(target: str) -> str:
    """Return a path of our own to go on to; anything else becomes the first page."""
    parts = urlsplit(target)
    is_ours = not parts.scheme and not parts.netloc and target.startswith("/") and "\\" not in target
    return target if is_ours and not target.startswith("//") else "/"


async def form(request: Request) -> Response:
    """`GET /page/sign-in`: ask for a token."""
    return await _ask(request, _local(request.query_params.get("after", "/")), "")


async def _ask(request: Request, after: str, words: str) -> Response:
    await find_form_key(request)
    nobody = Visitor(request, NOBODY)
    answer = page(
        "sign-in.html", None, status=401 if words else 200, after=after, words=words, proof=nobody.proof
    )
    nobody.remember(answer)
    return answer


async def sign_in(request: Request) -> Response:
    """`POST /page/sign-in`: keep the token in a cookie that no script can read, if it is good."""
    after = "/"
    try:
        fields = await read_form(request)
        after = _local(fields.get("after", "/"))
        token = text_of(fields, "token") or ""
        await _check(request, token)
    except Unauthenticated:
        return await _ask(request, after, "That token is not valid, or has expired.")
    except Failure as failure:
        return await _ask(request, after, str(failure.public()))
    answer = see_other(after)
    set_cookie(answer, TOKEN_COOKIE, token, is_secure=request.url.scheme == "https")
    return answer


async def _check(request: Request, token: str) -> None:
    """Ask who that token is, as the API would.

    Raises:
        Unauthenticated: Nobody, or it holds what no token holds.
    """
    if not token or not token.isascii() or not token.isprintable() or ";" in token:
        raise Unauthenticated
    headers = [*request.scope["headers"], (b"x-auth-token", token.encode())]
    await services_of(request).identify(Request({**request.scope, "headers": headers}))


async def sign_out(request: Request) -> Response:
    """`POST /page/sign-out`: forget the token."""
    await read_form(request)
    answer = see_other("/page/sign-in")
    for name in (TOKEN_COOKIE, FORM_COOKIE):
        answer.delete_cookie(name, path="/", httponly=True, samesite="strict")
    return answer
