"""The list of versions: the first thing that every client asks for."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer
from fetcher.api.problems import base_url

# 2.6 brought import, 2.7 hidden images and os_hash_value, 2.8 to 2.11 stores, 2.12 an image's tasks,
# 2.13 usage, 2.15 a store's details, 2.17 the safe locations API.
# 2.14, 2.16 and 2.18 belong to the cache, which is not here.
MINORS = (17, 15, *range(13, -1, -1))
NEWEST = MINORS[0]


def versions_document(request: Request) -> dict[str, Any]:
    """Return all versions, the current one first."""
    links = [{"rel": "self", "href": f"{base_url(request)}/v2/"}]
    return {
        "versions": [
            {
                "id": f"v2.{minor}",
                "status": "CURRENT" if minor == NEWEST else "SUPPORTED",
                "min_version": "2.0",
                "max_version": f"2.{NEWEST}",
                "links": links,
            }
            for minor in MINORS
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
