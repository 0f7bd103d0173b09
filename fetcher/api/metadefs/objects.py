"""Objects of a namespace: properties that belong together."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.metadefs.bodies import ObjectBody, bounds_of, item_of, read
from fetcher.api.metadefs.entering import at, enter_namespace, links, read_page
from fetcher.api.metadefs.views import BASE, SCHEMAS, object_view
from fetcher.index.values import ITEM_ORDERS, Content

PATH = f"{BASE}/{{namespace}}/objects"


async def listing(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}/objects`: all, or a page of them."""
    services, actor = await enter_namespace(request)
    page = read_page(request, ITEM_ORDERS, is_whole=True)
    found = await services.index.metadefs.items(at(request, "object"), actor, page)
    name = request.path_params["namespace"]
    is_full = bool(found) and len(found) == page.limit
    document = {
        "objects": [object_view(name, item) for item in found],
        **links(request, f"{BASE}/{name}/objects", found[-1].name if is_full else None),
        "schema": f"{SCHEMAS}/objects",
    }
    return Answer(document)


async def create(request: Request) -> Response:
    """`POST /v2/metadefs/namespaces/{namespace}/objects`: a new object."""
    services, actor = await enter_namespace(request)
    item = item_of("object", read(await read_document(request, dict[str, Any]), ObjectBody))
    content = Content(items=(item,), bounds=bounds_of(services.current.settings))
    await services.index.metadefs.add(at(request, "object"), actor, content)
    return Answer(object_view(request.path_params["namespace"], item), 201)


async def show(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}/objects/{name}`: one object."""
    services, actor = await enter_namespace(request)
    item = await services.index.metadefs.item(at(request, "object"), actor)
    return Answer(object_view(request.path_params["namespace"], item))


async def change(request: Request) -> Response:
    """`PUT /v2/metadefs/namespaces/{namespace}/objects/{name}`: another object in its place."""
    services, actor = await enter_namespace(request)
    item = item_of("object", read(await read_document(request, dict[str, Any]), ObjectBody))
    bounds = bounds_of(services.current.settings)
    changed = await services.index.metadefs.edit(at(request, "object"), actor, item, bounds)
    return Answer(object_view(request.path_params["namespace"], changed))


async def delete(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}/objects/{name}`: one object."""
    services, actor = await enter_namespace(request)
    await services.index.metadefs.remove(at(request, "object"), actor)
    return no_content()


async def delete_all(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}/objects`: all objects."""
    return await delete(request)


routes = [
    Route(PATH, listing, methods=["GET"]),
    Route(PATH, create, methods=["POST"]),
    Route(PATH, delete_all, methods=["DELETE"]),
    Route(f"{PATH}/{{name:path}}", show, methods=["GET"]),
    Route(f"{PATH}/{{name:path}}", change, methods=["PUT"]),
    Route(f"{PATH}/{{name:path}}", delete, methods=["DELETE"]),
]
