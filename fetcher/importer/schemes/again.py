"""Sources with a scheme of their own, kept so that they can be asked once more when nobody waits.

What opened it is not kept: only what anybody may have can be asked for again.
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


def kept(submission: Submission) -> dict[str, Any] | None:
    """Tell of a source what a later request needs; None where the URL says it all."""
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


def is_open(told: Mapping[str, Any] | None) -> bool:
    """Return whether a source was given out to anybody who asked."""
    return told is not None and told.get("anonymous") is True


async def ask_again(asked: Asked, told: Mapping[str, Any]) -> SourceRequest:
    """Find out anew where the bytes are, and how they are asked for.

    Args:
        asked: With the URL as it was recorded, and no secrets.
        told: What was kept of it.

    Raises:
        Failure: They are not to be had any more.
    """
    bucket = told.get("s3")
    submission = msgspec.structs.replace(
        asked.submission,
        properties=dict(told.get("properties") or {}),
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
