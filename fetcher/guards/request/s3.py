"""Endpoints that an s3:// URL may be fetched from."""

import re

from fetcher.config import Settings
from fetcher.errors import InvalidRequest, InvalidUrl
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec

_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_ENDPOINT = re.compile(r"https?://[^\s/@?#\\]+")


def check_endpoint(endpoint: str | None, region: str | None, settings: Settings) -> str:
    """Refuse an endpoint that a submission may not name; return the one to use, with `{region}` as it stands.

    Raises:
        InvalidUrl: The operator has switched s3:// off.
        InvalidRequest: The endpoint or the region is malformed, or is not allowed.
    """
    rules = settings.s3
    if not rules.enabled:
        raise InvalidUrl(rule="scheme", reason="s3:// is switched off here")
    if region is not None and not _REGION.fullmatch(region):
        raise InvalidRequest(field="s3.region", reason="region is a name such as us-east-1")
    if endpoint is None:
        return rules.endpoint
    if not _ENDPOINT.fullmatch(endpoint):
        reason = "endpoint is written https://host or https://host:port, with nothing behind it"
        raise InvalidRequest(field="s3.endpoint", reason=reason)
    if not rules.any_endpoint and endpoint not in {rules.endpoint, *rules.endpoints}:
        allowed = ", ".join([rules.endpoint, *rules.endpoints])
        raise InvalidRequest(field="s3.endpoint", reason=f"endpoint is none of those allowed: {allowed}")
    return endpoint


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    rules = settings.s3
    named = [rules.endpoint, *rules.endpoints] if rules.enabled else []
    return (
        Limit(
            name="s3_endpoints",
            type="array",
            value=named,
            description="Endpoints of s3:// URLs; the first is asked where a submission names none.",
            guard="s3",
        ),
        Limit(
            name="s3_any_endpoint_allowed",
            type="boolean",
            value=rules.enabled and rules.any_endpoint,
            description="Whether a submission may name any other endpoint that may be fetched from.",
            guard="s3",
        ),
        Limit(
            name="s3_region",
            type="string",
            value=rules.region,
            description="The region of buckets where a submission names none.",
            guard="s3",
        ),
    )


GUARD = GuardSpec(
    name="s3", title="Buckets (s3://)", sections=("s3",), limits=limits, checks=(check_endpoint,)
)
