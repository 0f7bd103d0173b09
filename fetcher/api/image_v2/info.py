"""Discovery without a token: import methods and limits, stores, usage."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.image_v2.answers import Answer, enter, enter_known
from fetcher.api.image_v2.resources.record import STORE
from fetcher.api.views import limits_view
from fetcher.importer.methods.registry import offered
from fetcher.settings.guards.quota import UNLIMITED

MIB = 1_048_576
REGIONS = "glance-download-regions"
_STORE = {"id": STORE, "description": "The service's own store", "default": "true"}


async def imports(request: Request) -> Response:
    """`GET /v2/info/import`: the methods, and every limit in force, from the guard that enforces it."""
    services, actor = await enter_known(request)
    methods = {
        "description": "Import methods available.",
        "type": "array",
        "value": offered(actor, services.current.settings),
    }
    shown: dict[str, Any] = {"import-methods": methods}
    if remotes := services.current.settings.image_api.remotes:
        shown[REGIONS] = {
            "description": "The services that glance-download pulls from, by glance_region.",
            "type": "array",
            "value": [{"region": entry.region, "url": entry.url} for entry in remotes],
        }
    return Answer({**shown, **limits_view(services.current.settings)})


async def stores(request: Request) -> Response:
    """`GET /v2/info/stores`: there is one."""
    await enter_known(request)
    return Answer({"stores": [_STORE]})


async def stores_detail(request: Request) -> Response:
    """`GET /v2/info/stores/detail`: with its type and weight, without paths; for admins and services."""
    _services, actor = await enter(request)
    if not actor.is_service:
        require_role(actor, "admin")
    details = {"type": "file", "weight": 100, "properties": {"thin_provisioning": True}}
    return Answer({"stores": [{**_STORE, **details}]})


async def usage(request: Request) -> Response:
    """`GET /v2/info/usage`: what the caller's project holds, and may hold; sizes in MiB."""
    services, actor = await enter(request)
    held = await services.index.usage.find(actor.project_id)
    max_images, max_bytes, max_uploading, max_staged = services.current.settings.quota.all_of(
        actor.project_id
    )
    shown = {
        "image_size_total": _usage_of(max_bytes, held.bytes + held.held_bytes, MIB),
        "image_count_total": _usage_of(max_images, held.images),
        "image_count_uploading": _usage_of(max_uploading, held.uploading),
        "image_stage_total": _usage_of(max_staged, held.staged_bytes, MIB),
    }
    return Answer({"usage": shown})


def _usage_of(most: int, used: int, unit: int = 1) -> dict[str, int]:
    """Return a limit and what of it is used, in whole units; -1 is no limit, as in Keystone."""
    return {"limit": -1 if most >= UNLIMITED else most // unit, "usage": -(-used // unit)}


routes = [
    Route("/v2/info/import", imports, methods=["GET"]),
    Route("/v2/info/stores", stores, methods=["GET"]),
    Route("/v2/info/stores/detail", stores_detail, methods=["GET"]),
    Route("/v2/info/usage", usage, methods=["GET"]),
]
