"""Which versions there are: the first thing that every client asks."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer
from fetcher.api.problems import base_url

# 2.6 brought import, 2.7 hidden images and os_hash_value, 2.12 an image's tasks, 2.13 usage. What came
# later (caches, store weights, locations) is not here, and clients shape their calls by the highest one.
NEWEST = 13


def versions_document(request: Request) -> dict[str, Any]:
    """All versions, the current one first."""
    links = [{"rel": "self", "href": f"{base_url(request)}/v2/"}]
    return {
        "versions": [
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == NEWEST else "SUPPORTED", "links": links}
            for minor in range(NEWEST, -1, -1)
        ]
    }


async def versions(request: Request) -> Response:
    """`GET /versions`."""
    return Answer(versions_document(request))


async def choices(request: Request) -> Response:
    """`GET /` and `GET /v2/`: the same, as a choice to be made."""
    return Answer(versions_document(request), 300)


routes = [
    Route("/versions", versions, methods=["GET"]),
    Route("/versions/", versions, methods=["GET"]),
    Route("/v2", versions, methods=["GET"]),
    Route("/v2/", versions, methods=["GET"]),
]
