"""The route of the API document; the document and its schemas are loaded at the first request."""

import asyncio
import json
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.config import Settings

JSON = "application/json"
NO_BASE = "https://base.invalid"  # Stands for where the service is, until somebody asks.


def _text_of(routes: Sequence[BaseRoute], settings: Settings) -> bytes:
    from fetcher.api.openapi.document import text_of

    return text_of(routes, settings)


async def openapi(request: Request) -> Response:
    """`GET /openapi.json`: the document of this API."""
    settings = services_of(request).current.settings
    state = request.app.state
    # Made once for each configuration: it takes longest of all answers, and nobody needs a token for it.
    if getattr(state, "api_document", (None, b""))[0] is not settings:
        # In a thread: it would hold the loop for longer than any request may.
        state.api_document = (settings, await asyncio.to_thread(_text_of, request.app.routes, settings))
    base = json.dumps(base_url(request))[1:-1].encode()
    text: bytes = state.api_document[1].replace(NO_BASE.encode(), base)
    return Response(text, media_type=JSON)


routes = [Route("/openapi.json", openapi, methods=["GET"])]
