"""Resource types, and the namespaces that are for them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, enter, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.metadefs.bodies import AssociationBody, bounds_of, item_of, read
from fetcher.api.metadefs.entering import at, enter_namespace
from fetcher.api.metadefs.views import BASE, association_view, type_view
from fetcher.index.values import Content, Page

PATH = f"{BASE}/{{namespace}}/resource_types"
READ_ONLY = ("created_at", "updated_at")


async def listing(request: Request) -> Response:
    """`GET /v2/metadefs/resource_types`: all types that definitions can be for."""
    services, _actor = await enter(request)
    found = await services.index.metadefs.resource_types()
    return Answer({"resource_types": [type_view(kind) for kind in found]})


async def associations(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}/resource_types`: what the namespace is for."""
    services, actor = await enter_namespace(request)
    page = Page(sort_key="id", is_descending=False)
    found = await services.index.metadefs.items(at(request, "association"), actor, page)
    return Answer({"resource_type_associations": [association_view(item) for item in found]})


async def associate(request: Request) -> Response:
    """`POST /v2/metadefs/namespaces/{namespace}/resource_types`: one more; a type that is new is made."""
    services, actor = await enter_namespace(request)
    body = read(await read_document(request, dict[str, Any]), AssociationBody, READ_ONLY)
    item = item_of("association", body)
    content = Content(items=(item,), bounds=bounds_of(services.current.settings))
    await services.index.metadefs.add(at(request, "association"), actor, content)
    return Answer(association_view(item), 201)


async def dissociate(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}/resource_types/{name}`: one less."""
    services, actor = await enter_namespace(request)
    await services.index.metadefs.remove(at(request, "association"), actor)
    return no_content()


routes = [
    Route("/v2/metadefs/resource_types", listing, methods=["GET"]),
    Route(PATH, associations, methods=["GET"]),
    Route(PATH, associate, methods=["POST"]),
    Route(f"{PATH}/{{name:path}}", dissociate, methods=["DELETE"]),
]
