"""The visitor of the page, and proof that a form came from it.

Two cookies, both out of reach of scripts and never sent from another site:
one holds the token where tokens are used, one a random number. Each form
carries a keyed digest of both; only our own page can know it, and a number
that somebody else put into the browser is of no use without the token. The key
is kept in the data folder, so a form from before a restart is still good.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.body import beside, read_body
from fetcher.api.page.form_key import find_form_key, form_key
from fetcher.api.services import services_of
from fetcher.errors import Forbidden, InvalidRequest
from fetcher.model import Actor

TOKEN_COOKIE = "fetcher_token"  # noqa: S105 - the cookie's name
FORM_COOKIE = "fetcher_form"
FORM_FIELD = "proof"
MAX_FIELDS = 400


class Visitor:
    """A user at a browser.

    Args:
        request: What they asked for.
        actor: Who they are.
    """

    def __init__(self, request: Request, actor: Actor) -> None:
        self.actor = actor
        self.path = request.url.path
        settings = services_of(request).current.settings
        self._has_names = bool(settings.catalogue.sources)
        self._has_receivers = bool(settings.exports.receivers)
        self.needs_token = TOKEN_COOKIE in request.cookies
        self._key = form_key(request)
        self._is_secure = request.url.scheme == "https"
        self._known = request.cookies.get(FORM_COOKIE, "")
        self._token = request.cookies.get(TOKEN_COOKIE, "")
        self._number = self._known or secrets.token_urlsafe(24)

    @property
    def proof(self) -> str:
        """Return what a form of this visitor must carry."""
        return _digest(self._key, self._number, self._token)

    @property
    def places(self) -> list[tuple[str, str]]:
        """Return the pages that there are for this visitor: path and title of each."""
        names = [("/page/catalogue", "Catalogue"), ("/page/schedules", "Schedules")]
        return [
            *[("/", "Submit"), ("/page/imports", "Imports"), ("/page/images", "Images")],
            *(names if self._has_names else []),
            *([("/page/exports", "Exports")] if self._has_receivers else []),
            ("/page/limits", "Limits"),
            *([("/page/dashboard", "Dashboard")] if self.actor.is_admin else []),
        ]

    def remember(self, answer: Response) -> None:
        """Give the browser its number."""
        if not self._known:
            set_cookie(answer, FORM_COOKIE, self._number, is_secure=self._is_secure)


def _digest(key: bytes, number: str, token: str) -> str:
    return hmac.new(key, f"{number}\0{token}".encode(), hashlib.sha256).hexdigest()


def set_cookie(answer: Response, name: str, value: str, *, is_secure: bool) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send."""
    answer.set_cookie(name, value, path="/", httponly=True, samesite="strict", secure=is_secure)


def with_token(request: Request) -> Request:
    """Return the request as the API would get it: the cookie's token where a header's would be."""
    token = request.cookies.get(TOKEN_COOKIE)
    if not token or "x-auth-token" in request.headers:
        return request
    headers = [*request.scope["headers"], (b"x-auth-token", token.encode("latin-1", "replace"))]
    return Request({**request.scope, "headers": headers}, request.receive)


async def visitor_of(request: Request) -> Visitor:
    """Find out who looks.

    Raises:
        Unauthenticated: They have to sign in first.
    """
    actor = await services_of(request).identify(with_token(request))
    await find_form_key(request)
    return Visitor(request, actor)


async def read_form(request: Request) -> dict[str, str]:
    """Read a form that our own page sent.

    Raises:
        Forbidden: It came from elsewhere.
        InvalidRequest: It is no form, or a field stands twice.
    """
    form = await read_fields(request)
    check_proof(request, form.pop(FORM_FIELD, ""))
    return form


async def read_fields(request: Request) -> dict[str, str]:
    """Read a form without asking for its proof yet, so that a page can show it again filled in.

    Raises:
        Forbidden: Another site sent it.
        InvalidRequest: It is no form, or a field stands twice.
    """
    pairs = await _read_pairs(request)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise InvalidRequest(reason="a field of the form stands twice")
    return form


async def read_choice(request: Request, name: str) -> tuple[dict[str, str], list[str]]:
    """Read a form in which one field may stand many times; its values come apart.

    Raises:
        Forbidden: It came from elsewhere.
        InvalidRequest: It is no form, or another field stands twice.
    """
    pairs = await _read_pairs(request)
    chosen = [value for key, value in pairs if key == name]
    others = [(key, value) for key, value in pairs if key != name]
    form = dict(others)
    if len(form) != len(others):
        raise InvalidRequest(reason="a field of the form stands twice")
    check_proof(request, form.pop(FORM_FIELD, ""))
    return form, chosen


def check_proof(request: Request, proof: str) -> None:
    """Refuse what does not carry the number that only our own page knows.

    Raises:
        Forbidden: It is missing, or is another browser's.
    """
    number = request.cookies.get(FORM_COOKIE, "")
    expected = _digest(form_key(request), number, request.cookies.get(TOKEN_COOKIE, "")).encode()
    if not number or not hmac.compare_digest(proof.encode(), expected):
        raise Forbidden(reason="the form was open for too long; check it and send it once more")


async def _read_pairs(request: Request) -> list[tuple[str, str]]:
    check_origin(request)
    await find_form_key(request)
    body = await read_body(request)
    return await beside(request, body, lambda: _pairs_of(body))


def _pairs_of(body: bytes) -> list[tuple[str, str]]:
    if b"%00" in body or b"\0" in body:
        raise InvalidRequest(reason="the form has a NUL character, which no text may have")
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest(reason="the form has too many fields") from error


def check_origin(request: Request) -> None:
    """Refuse a form that a browser says another site sent (Fetch metadata; RFC 6454)."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if site not in {"same-origin", "none"} or is_foreign:
        raise Forbidden(reason="the form was sent by another site")


def text_of(form: Mapping[str, str], name: str) -> str | None:
    """Return a field without the space around it; None when empty."""
    return form.get(name, "").strip() or None
