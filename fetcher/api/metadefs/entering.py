"""Access to metadata definitions, and the parameters of their lists."""

from urllib.parse import urlencode

from starlette.requests import Request

from fetcher.api.image_v2.answers import check_query, enter
from fetcher.api.image_v2.resources.listing import read_limit
from fetcher.api.services import Services, services_of
from fetcher.errors import Forbidden, InvalidRequest, NotFound
from fetcher.index.values import At, Kind, Page
from fetcher.model import Actor

NOT_FILTERS = ("marker",)


async def enter_namespace(request: Request) -> tuple[Services, Actor]:
    """Let a caller in to the namespace in the path; who has no role here sees none.

    Whether the caller sees this one, and may change it, the index decides in
    one step with what is asked for.

    Raises:
        Unauthenticated: It is not known who calls.
        NotFound: The token has no project or no role here.
    """
    try:
        return await enter(request)
    except Forbidden as failure:
        name = str(request.path_params["namespace"])[:80]
        raise NotFound(what=f"metadata definition namespace {name}") from failure


def at(request: Request, kind: Kind) -> At:
    """Return where in the definitions a path points."""
    return At(namespace=request.path_params["namespace"], kind=kind, name=request.path_params.get("name"))


def read_page(request: Request, keys: tuple[str, ...], *, is_whole: bool = False) -> Page:
    """Read the order and the part of a list that is wanted.

    Args:
        is_whole: Whether a list without a limit has all entries.

    Raises:
        InvalidRequest: A parameter is not what it may be.
    """
    check_query(request)
    params = request.query_params
    key, direction = params.get("sort_key", "created_at"), params.get("sort_dir", "desc")
    if key not in keys:
        raise InvalidRequest(field="sort_key", reason=f"a sort key is one of {', '.join(keys)}")
    if direction not in {"asc", "desc"}:
        raise InvalidRequest(field="sort_dir", reason="sort_dir is one of asc, desc")
    text = params.get("limit")
    limit = None if text is None and is_whole else read_limit(text, services_of(request).current.settings)
    marker = params.get("marker")
    return Page(sort_key=key, is_descending=direction == "desc", limit=limit, marker=marker)


def links(request: Request, path: str, last: str | None) -> dict[str, str]:
    """Return the links of a page: to the first one, and to the next one where this one is full."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key not in NOT_FILTERS]
    found = {"first": f"{path}?{urlencode(kept)}" if kept else path}
    if last is not None:
        found["next"] = f"{path}?{urlencode([*kept, ('marker', last)])}"
    return found
