"""Sources with a scheme of their own, recorded so that a blob can be repaired from them later.

Credentials are not recorded: only a public source can be requested again.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from fetcher.importer.schemes.registry import find_way, is_elsewhere, take
from fetcher.importer.schemes.scheme import Asked
from fetcher.index.values import Access, Secrets
from fetcher.model import BucketAccess, Submission
from fetcher.transport import SourceRequest

# Properties by which a scheme decides which bytes come.
_DECIDING = ("hw_architecture", "architecture")


def recorded_source(submission: Submission) -> dict[str, Any] | None:
    """Return the record that a later request to a source needs; None where the URL suffices."""
    if not is_elsewhere(submission.url):
        return None
    bucket = submission.s3
    is_signed = bucket is not None and bucket.access_key_id is not None
    place = None
    if bucket is not None:
        place = {"endpoint": bucket.endpoint, "region": bucket.region, "addressing": bucket.addressing}
    return {
        "anonymous": not (submission.headers or submission.client_sha256 or is_signed),
        "s3": place,
        "properties": {
            name: submission.properties[name] for name in _DECIDING if name in submission.properties
        },
    }


def is_public(source: Mapping[str, Any] | None) -> bool:
    """Return whether a recorded source was public: it needed no credentials."""
    return source is not None and source.get("anonymous") is True


async def repeat_request(asked: Asked, source: Mapping[str, Any]) -> SourceRequest:
    """Locate the bytes anew, and return the request for them.

    Args:
        asked: With the URL as it was recorded, and no secrets.
        source: The record of the source.

    Raises:
        Failure: They are not to be had any more.
    """
    bucket = source.get("s3")
    submission = msgspec.structs.replace(
        asked.submission,
        properties=dict(source.get("properties") or {}),
        s3=BucketAccess(**bucket) if bucket else None,
    )
    recorded, located = take(submission, asked.urls)
    secrets = Secrets(url=located.url, access=Access(s3=located.s3))
    way = await find_way(
        Asked(
            gate=asked.gate,
            secrets=secrets,
            urls=asked.urls,
            submission=recorded,
            project=asked.project,
            settings=asked.settings,
        )
    )
    return SourceRequest(
        url=asked.urls.check(way.secrets.url),
        headers=way.secrets.headers,
        project=asked.project,
        dialect=way.dialect,
    )
