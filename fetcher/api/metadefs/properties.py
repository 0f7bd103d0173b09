"""Properties of a namespace: what a value means and may be."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.metadefs.bodies import NamedPropertyBody, bounds_of, item_of, read
from fetcher.api.metadefs.entering import at, enter_namespace
from fetcher.api.metadefs.views import BASE, properties_view, property_view
from fetcher.errors import NotFound
from fetcher.index.values import At, Content, Page

PATH = f"{BASE}/{{namespace}}/properties"
READ_ONLY = ("created_at", "updated_at")


async def listing(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}/properties`: all, by their names."""
    services, actor = await enter_namespace(request)
    page = Page(sort_key="id", is_descending=False)
    found = await services.index.metadefs.items(at(request, "property"), actor, page)
    return Answer({"properties": properties_view(found)})


async def create(request: Request) -> Response:
    """`POST /v2/metadefs/namespaces/{namespace}/properties`: a new property."""
    services, actor = await enter_namespace(request)
    body = read(await read_document(request, dict[str, Any]), NamedPropertyBody, READ_ONLY)
    item = item_of("property", body)
    content = Content(items=(item,), bounds=bounds_of(services.current.settings))
    await services.index.metadefs.add(at(request, "property"), actor, content)
    return Answer(property_view(item), 201)


async def show(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}/properties/{name}`: with `resource_type`, under its prefix."""
    services, actor = await enter_namespace(request)
    where = at(request, "property")
    resource_type = request.query_params.get("resource_type")
    if resource_type is None:
        return Answer(property_view(await services.index.metadefs.item(where, actor)))
    association = At(namespace=where.namespace, kind="association", name=resource_type)
    prefix = (await services.index.metadefs.item(association, actor)).document.get("prefix", "")
    name = where.name or ""
    if not prefix or not name.startswith(prefix):
        raise NotFound(what=f"property {name[:80]} with the prefix of {resource_type[:80]}")
    plain = msgspec.structs.replace(where, name=name.removeprefix(prefix))
    return Answer(property_view(await services.index.metadefs.item(plain, actor)))


async def change(request: Request) -> Response:
    """`PUT /v2/metadefs/namespaces/{namespace}/properties/{name}`: another property in its place."""
    services, actor = await enter_namespace(request)
    body = read(await read_document(request, dict[str, Any]), NamedPropertyBody, READ_ONLY)
    item, bounds = item_of("property", body), bounds_of(services.current.settings)
    return Answer(
        property_view(await services.index.metadefs.edit(at(request, "property"), actor, item, bounds))
    )


async def delete(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}/properties/{name}`: one property."""
    services, actor = await enter_namespace(request)
    await services.index.metadefs.remove(at(request, "property"), actor)
    return no_content()


async def delete_all(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}/properties`: all properties."""
    return await delete(request)


routes = [
    Route(PATH, listing, methods=["GET"]),
    Route(PATH, create, methods=["POST"]),
    Route(PATH, delete_all, methods=["DELETE"]),
    Route(f"{PATH}/{{name:path}}", show, methods=["GET"]),
    Route(f"{PATH}/{{name:path}}", change, methods=["PUT"]),
    Route(f"{PATH}/{{name:path}}", delete, methods=["DELETE"]),
]
