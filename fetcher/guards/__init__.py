"""Guards: what refuses a request, a connection or bytes; `registry` has them all."""

from fetcher.guards.registry import Chain, LimitsInForce, acting, check_submission, published, titles
from fetcher.guards.spec import GuardContext, Headroom, Purpose

__all__ = [
    "Chain",
    "GuardContext",
    "Headroom",
    "LimitsInForce",
    "Purpose",
    "acting",
    "check_submission",
    "published",
    "titles",
]
