"""Pages with nothing to do on them: limits, and what the codes mean."""

from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.openapi.document import api_document
from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor
from fetcher.api.page.shown import shown
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.submit.discovery import describe
from fetcher.api.submit.words import limit_words
from fetcher.errors import table
from fetcher.guards import published, titles


@shown
async def limits(request: Request, visitor: Visitor) -> Response:
    """`GET /page/limits`: every limit, reported by the code that enforces it."""
    found, names = published(services_of(request).settings()), titles()
    sections = [
        (
            names[guard],
            [(limit, limit_words(limit.name, limit.value)) for limit in group],
        )
        for guard, group in groupby(found, key=lambda limit: limit.guard)
    ]
    return page("limits.html", visitor, sections=sections)


@shown
async def api(request: Request, visitor: Visitor) -> Response:
    """`GET /page/api`: the API document, rendered."""
    settings = services_of(request).settings()
    document = api_document(request.app.routes, base_url(request), settings)
    sections: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            sections.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    schemas = document["components"]["schemas"]
    return page("api.html", visitor, sections=sections, fields=schemas["SubmitBody"], base=base_url(request))


@shown
async def codes(_request: Request, visitor: Visitor) -> Response:
    """`GET /page/codes`: what each code means."""
    return page("codes.html", visitor, codes=[describe(kind) for kind in table().values()])
