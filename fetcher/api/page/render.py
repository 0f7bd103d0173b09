"""Templates to answers: everything is escaped, and the browser may load only our own files."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fetcher import __version__
from fetcher.api.page import moments
from fetcher.api.page.session import Visitor
from fetcher.api.page.static import link_of
from fetcher.api.page.views.timeline import signature_words, verified_words
from fetcher.api.prefix import outside
from fetcher.api.submit import words

if TYPE_CHECKING:
    import jinja2

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}


@cache
def environment() -> "jinja2.Environment":
    """Return the templates with what they call; made with the first page, which a start does not wait for."""
    import jinja2

    made = jinja2.Environment(
        auto_reload=False,  # Else each page asks the file system whether its templates have changed.
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "size": words.size_words,
        "exact": words.exact_words,
        "rate": words.rate_words,
        "span": words.time_words,
        "moment": moments.moment,
        "clock": moments.clock,
        "iso": moments.iso,
        "signature": signature_words,
        "verified": verified_words,
        "doing": words.moment_words,
        "title": words.title_of,
        "notice": lambda record: words.notice_words(
            msgspec.to_builtins(record.notice), is_ended=record.state.is_final
        ),
    }
    made.globals |= {"link_of": link_of, "outside": outside, "version": __version__}
    return made


def fragment(template: str, **context: Any) -> str:
    """Return a part of a page, for an event or a swap."""
    return environment().get_template(template).render(**context)


def page(template: str, visitor: Visitor | None, *, status: int = 200, **context: Any) -> Response:
    """Return a whole page.

    Args:
        visitor: Who looks; None before they have said.
    """
    text = environment().get_template(template).render(visitor=visitor, **context)
    answer = Response(text, status, HEADERS, media_type="text/html")
    if visitor is not None:
        visitor.remember(answer)
    return answer


def wants_page(request: Request) -> bool:
    """Return whether a browser asks: only those name HTML among what they accept."""
    return "text/html" in request.headers.get("accept", "")


def is_swap(request: Request) -> bool:
    """Return whether a part of a page is asked for, by the page itself."""
    return request.headers.get("hx-request") == "true"
