"""Answers in JSON, and who may ask for them."""

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.services import Services, services_of
from fetcher.errors import Forbidden, InvalidRequest, UnknownImage
from fetcher.model import Actor

Answer = JsonAnswer


def no_content(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer without a body."""
    return Response(status_code=status, headers=headers)


async def enter(request: Request, role: str = "reader") -> tuple[Services, Actor]:
    """Let a caller in who has the role.

    Raises:
        Unauthenticated: It is not known who calls.
        Forbidden: The role is missing.
        InvalidRequest: The query is not text.
    """
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, role)
    check_query(request)
    return services, actor


async def enter_known(request: Request) -> tuple[Services, Actor]:
    """Let everybody in whose token is valid, whatever it is scoped to and whichever roles it has.

    Raises:
        Unauthenticated: It is not known who calls.
    """
    services = services_of(request)
    try:
        return services, await services.identify(request)
    except Forbidden:
        return services, Actor(project_id="", user_id="", roles=frozenset())


async def enter_image(request: Request, role: str = "reader") -> tuple[Services, Actor]:
    """Let a caller in to the image that the path names: first whether they see it, then what they may do.

    A token without a project or a role here sees no image, so that nobody
    learns from the status that an id exists.

    Raises:
        Unauthenticated: It is not known who calls.
        UnknownImage: The caller does not see the image.
        Forbidden: The caller sees the image and lacks the role.
    """
    services = services_of(request)
    image_id = request.path_params["id"]
    try:
        actor = await services.identify(request)
    except Forbidden as failure:
        raise UnknownImage(id=image_id) from failure
    try:
        require_role(actor, role)
    except Forbidden:
        await services.index.images.find(image_id, actor)
        raise
    return services, actor


def check_query(request: Request) -> None:
    """Refuse a query whose percent-encoded bytes are not UTF-8.

    They would become replacement characters, and the filter would find nothing.

    Raises:
        InvalidRequest: The query is not UTF-8.

    Source: RFC 3986 section 2.5.
    """
    try:
        unquote_to_bytes(request.scope["query_string"]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(field="query", reason="the query string is not valid UTF-8") from error
