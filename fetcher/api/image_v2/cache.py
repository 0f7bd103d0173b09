"""The calls of the cache API, answered as by a Glance without a cache: images are served from the store."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import enter
from fetcher.errors import NotFound


async def nothing(request: Request) -> Response:
    """`/v2/cache` and what is below: there is no cache, which clients know by the 404."""
    await enter(request, "admin")
    raise NotFound(what="caching via API is not supported at this site, because no cache is needed")


routes = [
    Route("/v2/cache", nothing, methods=["GET", "DELETE"]),
    Route("/v2/cache/", nothing, methods=["GET", "DELETE"]),
    Route("/v2/cache/clean", nothing, methods=["POST"]),
    Route("/v2/cache/prune", nothing, methods=["POST"]),
    Route("/v2/cache/{id}", nothing, methods=["PUT", "DELETE"]),
    Route("/v2/cache/nodes/{id}", nothing, methods=["GET"]),
    Route("/v2/cached_images", nothing, methods=["GET", "DELETE"]),
    Route("/v2/cached_images/{id}", nothing, methods=["DELETE"]),
    Route("/v2/queued_images", nothing, methods=["GET", "DELETE"]),
    Route("/v2/queued_images/{id}", nothing, methods=["PUT", "DELETE"]),
]
