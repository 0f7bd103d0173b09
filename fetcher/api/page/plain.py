"""Pages with nothing to do on them: limits, and what the codes mean."""

from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor
from fetcher.api.page.shown import shown
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.submit.discovery import describe
from fetcher.api.submit.words import limit_words
from fetcher.errors import table
from fetcher.guards import published, titles

# Redoc makes style elements (an empty one, which it then fills rule by rule, and its scroll bars') and icons.
_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
_REDOC_NEEDS = {"style-src 'self'": f"style-src 'self' {_STYLES}", "img-src 'self'": "img-src 'self' data:"}


@shown
async def limits(request: Request, visitor: Visitor) -> Response:
    """`GET /page/limits`: every limit, reported by the code that enforces it."""
    found, names = published(services_of(request).current.settings), titles()
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
    """`GET /page/api`: the API document, drawn by Redoc."""
    answer = page("api.html", visitor, base=base_url(request))
    policy = answer.headers["Content-Security-Policy"]
    for plain, needed in _REDOC_NEEDS.items():
        policy = policy.replace(plain, needed)
    answer.headers["Content-Security-Policy"] = policy
    return answer


@shown
async def codes(_request: Request, visitor: Visitor) -> Response:
    """`GET /page/codes`: what each code means."""
    return page("codes.html", visitor, codes=[describe(kind) for kind in table().values()])
