"""Namespaces of metadata definitions."""

from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, enter, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.metadefs.bodies import NamespaceBody, bounds_of, namespace_of, read
from fetcher.api.metadefs.entering import enter_namespace, links, read_page
from fetcher.api.metadefs.views import BASE, SCHEMAS, namespace_view, prefixed
from fetcher.api.problems import base_url
from fetcher.errors import InvalidRequest
from fetcher.index.values import METADEF_ORDERS, Content, Item, Namespace, NamespaceQuery

MAX_TYPES = 64


async def listing(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces`: those that the caller sees, each with its resource types."""
    services, actor = await enter(request)
    query = read_query(request)
    found = await services.index.metadefs.page(actor, query)
    is_full = bool(found) and len(found) == query.page.limit
    document = {
        "namespaces": [namespace_view(namespace, items) for namespace, items in found],
        **links(request, BASE, found[-1][0].namespace if is_full else None),
        "schema": f"{SCHEMAS}/namespaces",
    }
    return Answer(document)


def read_query(request: Request) -> NamespaceQuery:
    """Read the filters of a list of namespaces.

    Raises:
        InvalidRequest: A parameter is not what it may be.
    """
    params = request.query_params
    visibility = params.get("visibility") or None
    if visibility not in {None, "public", "private"}:
        raise InvalidRequest(field="visibility", reason="visibility is one of public, private")
    types = params.get("resource_types")
    names = None if types is None else tuple(types.split(",", MAX_TYPES))
    if names is not None and len(names) > MAX_TYPES:
        raise InvalidRequest(
            field="resource_types", reason=f"at most {MAX_TYPES} resource types can be named"
        )
    page = read_page(request, METADEF_ORDERS)
    return NamespaceQuery(page=page, visibility=visibility, resource_types=names)


async def create(request: Request) -> Response:
    """`POST /v2/metadefs/namespaces`: a namespace, and all that is in it, at once."""
    services, actor = await enter(request, "admin")
    body = read(await read_document(request, dict[str, Any]), NamespaceBody)
    namespace = namespace_of(body, actor.project_id)
    items = body.content()
    content = Content(items=items, bounds=bounds_of(services.current.settings))
    await services.index.metadefs.create(namespace, content)
    location = f"{base_url(request)}{BASE}/{quote(namespace.namespace, safe=':')}"
    return Answer(namespace_view(namespace, items), 201, {"Location": location})


async def show(request: Request) -> Response:
    """`GET /v2/metadefs/namespaces/{namespace}`: with everything in it; `resource_type` adds its prefix."""
    services, actor = await enter_namespace(request)
    namespace, items = await services.index.metadefs.find(request.path_params["namespace"], actor)
    prefix = _prefix(items, request.query_params.get("resource_type"))
    return Answer(namespace_view(namespace, prefixed(items, prefix) if prefix else items))


def _prefix(items: list[Item], resource_type: str | None) -> str:
    for item in items:
        if item.kind == "association" and item.name == resource_type:
            return str(item.document.get("prefix", ""))
    return ""


async def change(request: Request) -> Response:
    """`PUT /v2/metadefs/namespaces/{namespace}`: its own attributes; what is left out is as for a new one."""
    services, actor = await enter_namespace(request)
    body = read(await read_document(request, dict[str, Any]), NamespaceBody)
    after = namespace_of(body, actor.project_id)

    def edit(before: Namespace) -> Namespace:
        return msgspec.structs.replace(after, created_at=before.created_at)

    changed = await services.index.metadefs.change(request.path_params["namespace"], actor, edit)
    return Answer(namespace_view(changed))


async def delete(request: Request) -> Response:
    """`DELETE /v2/metadefs/namespaces/{namespace}`: with everything in it, unless it is protected."""
    services, actor = await enter_namespace(request)
    await services.index.metadefs.delete(request.path_params["namespace"], actor)
    return no_content()


routes = [
    Route(BASE, listing, methods=["GET"]),
    Route(BASE, create, methods=["POST"]),
    Route(f"{BASE}/{{namespace}}", show, methods=["GET"]),
    Route(f"{BASE}/{{namespace}}", change, methods=["PUT"]),
    Route(f"{BASE}/{{namespace}}", delete, methods=["DELETE"]),
]
