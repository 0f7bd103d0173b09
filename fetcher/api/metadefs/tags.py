"""Tags of a namespace."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.image_v2.resources.listing import NO, YES
from fetcher.api.metadefs.bodies import TagBody, TagsBody, bounds_of, item_of, read
from fetcher.api.metadefs.entering import at, enter_namespace, links, read_page
from fetcher.api.metadefs.views import BASE, SCHEMAS, tag_view
from fetcher.errors import InvalidRequest
from fetcher.index.values import ITEM_ORDERS, Content

PATH = f"{BASE}/{{namespace}}/tags"
READ_ONLY = ("created_at", "updated_at")
APPEND = "X-OpenStack-Append"


async def listing(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}/tags`: all, or a page of them."""
    services, actor = await enter_namespace(request)
    page = read_page(request, ITEM_ORDERS, is_whole=True)
    found = await services.index.metadefs.items(at(request, "tag"), actor, page)
    is_full = bool(found) and len(found) == page.limit
    path = f"{BASE}/{request.path_params['namespace']}/tags"
    document = {
        "tags": [{"name": item.name} for item in found],
        **links(request, path, found[-1].name if is_full else None),
        "schema": f"{SCHEMAS}/tags",
    }
    return Answer(document)


async def create_all(request: Request) -> Response:
    """`POST /v2/metadefs/namespaces/{namespace}/tags`: these in place of all tags, or beside them."""
    services, actor = await enter_namespace(request)
    body = read(await read_document(request, dict[str, Any]), TagsBody, READ_ONLY)
    content = Content(
        items=tuple(item_of("tag", tag) for tag in body.tags),
        bounds=bounds_of(services.current.settings),
        replaces=not appends(request.headers.get(APPEND)),
    )
    await services.index.metadefs.add(at(request, "tag"), actor, content)
    return Answer({"tags": [{"name": item.name} for item in content.items]}, 201)


def appends(text: str | None) -> bool:
    """Return whether the present tags stay.

    Raises:
        InvalidRequest: The header says neither yes nor no; to guess could delete what should stay.
    """
    word = "false" if text is None else text.strip().lower()
    if word not in {*YES, *NO}:
        raise InvalidRequest(field=APPEND, reason=f"{APPEND} is true or false")
    return word in YES


async def create(request: Request) -> Response:
    """`POST /v2/metadefs/namespaces/{namespace}/tags/{name}`: a new tag."""
    services, actor = await enter_namespace(request)
    item = item_of("tag", read({"name": request.path_params["name"]}, TagBody))
    content = Content(items=(item,), bounds=bounds_of(services.current.settings))
    await services.index.metadefs.add(at(request, "tag"), actor, content)
    return Answer(tag_view(item), 201)


async def show(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}/tags/{name}`: one tag."""
    services, actor = await enter_namespace(request)
    return Answer(tag_view(await services.index.metadefs.item(at(request, "tag"), actor)))


async def change(request: Request) -> Response:
    """`PUT /v2/metadefs/namespaces/{namespace}/tags/{name}`: give the tag another name."""
    services, actor = await enter_namespace(request)
    item = item_of("tag", read(await read_document(request, dict[str, Any]), TagBody, READ_ONLY))
    bounds = bounds_of(services.current.settings)
    return Answer(tag_view(await services.index.metadefs.edit(at(request, "tag"), actor, item, bounds)))


async def delete(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}/tags/{name}`: one tag."""
    services, actor = await enter_namespace(request)
    await services.index.metadefs.remove(at(request, "tag"), actor)
    return no_content()


async def delete_all(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}/tags`: all tags."""
    return await delete(request)


routes = [
    Route(PATH, listing, methods=["GET"]),
    Route(PATH, create_all, methods=["POST"]),
    Route(PATH, delete_all, methods=["DELETE"]),
    Route(f"{PATH}/{{name:path}}", show, methods=["GET"]),
    Route(f"{PATH}/{{name:path}}", create, methods=["POST"]),
    Route(f"{PATH}/{{name:path}}", change, methods=["PUT"]),
    Route(f"{PATH}/{{name:path}}", delete, methods=["DELETE"]),
]
