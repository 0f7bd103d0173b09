"""Styles and scripts: read once, served with a name that changes when they do."""

import hashlib
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.prefix import outside
from fetcher.errors import NotFound

FOLDER = Path(__file__).with_name("static")
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class StaticFile(msgspec.Struct, frozen=True):
    """One file in memory.

    Args:
        link: Where it is served; holds a digest, so that it may be kept for ever.
    """

    body: bytes
    kind: str
    link: str


def _load() -> dict[str, StaticFile]:
    files = {}
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in KINDS:
            body = path.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            files[path.name] = StaticFile(body, KINDS[path.suffix], f"/page/static/{path.name}?{digest}")
    return files


FILES = _load()


def link_of(name: str) -> str:
    """Return where a file is served."""
    return outside(FILES[name].link)


async def static_file(request: Request) -> Response:
    """`GET /page/static/{name}`: a style, a script or a picture of the page."""
    file = FILES.get(request.path_params["name"])
    if file is None:
        raise NotFound(what=request.url.path)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    return Response(file.body, media_type=file.kind, headers=headers)
