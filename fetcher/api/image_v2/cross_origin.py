"""Pages of other sites that the operator lets call this API from a browser (CORS)."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from fetcher.config import Settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SENT = (
    *("X-Auth-Token", "Authorization", "Content-Type", "Range", "If-Range", "If-None-Match"),
    *("Idempotency-Key", "X-OpenStack-Request-ID", "X-OpenStack-Image-Size", "X-Image-Meta-Store"),
    "X-OpenStack-Append",
)
READ = (
    *("X-OpenStack-Request-ID", "Location", "OpenStack-image-import-methods", "OpenStack-image-store-ids"),
    *("Content-MD5", "Content-Range", "Repr-Digest", "ETag", "Retry-After", "WWW-Authenticate"),
)


def cross_origin(settings: Settings) -> list[Middleware]:
    """Return what answers browsers that ask for other sites' pages; nothing where no origin is allowed.

    Source: Fetch Standard, "CORS protocol".
    """
    origins = settings.server.cors_origins
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=READ,
            max_age=600,
        )
    ]
