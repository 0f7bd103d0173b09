"""Guards: what refuses a request, a connection or bytes; `registry` has them all."""

from fetcher.guards.registry import Chain, acting, check_submission, published, titles
from fetcher.guards.spec import GuardContext, Headroom, Purpose

__all__ = [
    "Chain",
    "GuardContext",
    "Headroom",
    "Purpose",
    "acting",
    "check_submission",
    "published",
    "titles",
]
