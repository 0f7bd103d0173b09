"""Values of the submit-a-URL API as JSON."""

from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.convert.sandbox import Walls
from fetcher.guards import published
from fetcher.importer.schemes import registry as schemes
from fetcher.model import Attempt, BucketAccess, Import
from fetcher.transport import authority_digests

TIMES = ("created_at", "started_at", "updated_at", "ended_at")


def import_view(
    record: Import, base: str, truth: dict[str, str] | None = None, *, is_operator: bool = False
) -> dict[str, Any]:
    """One import as its submitter sees it; addresses inside our network are never shown.

    Args:
        truth: What really ended it, where the caller may know that.
        is_operator: The caller may know what really happened in each attempt.
    """
    submission, image_id = record.submission, record.made_image_id
    return {
        "id": record.id,
        "state": record.state.value,
        "phase": record.phase.value if record.phase else None,
        "method": record.method,
        "url": submission.url,
        "name": submission.name,
        "image_id": image_id,
        "progress": _progress(record),
        "attempt": len(record.attempts),
        "attempts": [_attempt(attempt, is_operator=is_operator) for attempt in record.attempts],
        "redirects": [{"url": hop.url, "status": hop.status} for hop in record.attempts[-1].hops]
        if record.attempts
        else [],
        "format": msgspec.to_builtins(record.format),
        "digests": record.digests,
        "stages": record.stages,
        "target": _target(record),
        "verified_by": record.verified_by,
        "sums_signature": record.sums_signature,
        "length_verified": record.length_verified,
        "verdict": msgspec.to_builtins(record.verdict),
        "truth": truth,
        "notice": msgspec.to_builtins(record.notice),
        "submission": _submission(record),
        "project_id": record.project_id,
        "user_id": record.user_id,
        "request_id": record.request_id,
        **{name: msgspec.to_builtins(getattr(record, name)) for name in TIMES},
        "links": _links(record, base, image_id),
    }


def _links(record: Import, base: str, image_id: str) -> dict[str, str]:
    link = f"{base}/imports/{record.id}"
    return {
        "self": link,
        "events": f"{link}/events",
        "provenance": f"{link}/provenance",
        "attestation": f"{link}/attestation",
        "image": f"{record.home_url or base}/v2/images/{image_id}",
    }


def _target(record: Import) -> dict[str, Any] | None:
    """Return how far an image has come at the target."""
    if record.delivery is None:
        return None
    shown: dict[str, Any] = msgspec.to_builtins(record.delivery)
    size, sent = record.delivery.size, record.delivery.sent_bytes
    return {**shown, "percent": round(100 * sent / size, 1) if size else None}


def _progress(record: Import) -> dict[str, Any]:
    left = None if record.expected_bytes is None else max(0, record.expected_bytes - record.received_bytes)
    rate = record.bytes_per_second
    percent = None
    if record.expected_bytes:
        percent = round(min(100.0, 100 * record.received_bytes / record.expected_bytes), 1)
    return {
        "received_bytes": record.received_bytes,
        "expected_bytes": record.expected_bytes,
        "percent": percent,
        "bytes_per_second": None if rate is None else round(rate),
        "seconds_left": round(left / rate, 1) if rate and left is not None else None,
    }


def _attempt(attempt: Attempt, *, is_operator: bool) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(attempt)
    if not is_operator:
        shown["truth"] = None
    elif attempt.truth is not None:
        shown["truth"] = {**attempt.truth, "addresses": attempt.addresses}
    shown["hops"] = [{"url": hop["url"], "status": hop["status"]} for hop in shown["hops"]]
    return shown


def _submission(record: Import) -> dict[str, Any]:
    submission = record.submission
    return {
        "disk_format": submission.disk_format,
        "container_format": submission.container_format,
        "checksum": str(submission.checksum) if submission.checksum else None,
        "max_bytes": submission.max_bytes,
        "min_disk": submission.min_disk,
        "min_ram": submission.min_ram,
        "tags": list(submission.tags),
        "properties": submission.properties,
        "visibility": submission.visibility,
        "headers": sorted(submission.headers),
        "mirrors": list(submission.mirrors),
        "checksum_url": submission.checksum_url,
        "checksum_signature_url": submission.checksum_signature_url,
        "s3": _bucket(submission.s3),
        "client_sha256": submission.client_sha256,
        "catalogue": msgspec.to_builtins(submission.catalogue),
        "ca_sha256": authority_digests(submission.ca_pem) if submission.ca_pem else [],
        "disk": submission.disk,
        "convert_to": submission.convert_to,
        "notify_url": submission.notify_url,
        "target_image_id": submission.target_image_id,
    }


def _bucket(bucket: BucketAccess | None) -> dict[str, Any] | None:
    if bucket is None:
        return None
    place = {"endpoint": bucket.endpoint, "region": bucket.region, "addressing": bucket.addressing}
    return {**place, "signed": bucket.access_key_id is not None}


def limits_view(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every limit in force by its name, in the form of the Image API's discovery."""
    return {
        limit.name: {
            "description": limit.description,
            "type": limit.type,
            "value": limit.value,
            "guard": limit.guard,
        }
        for limit in (*schemes.limits(settings), *published(settings))
    }


def walls_view(walls: Walls | None) -> dict[str, dict[str, Any]]:
    """Return which walls stand around conversions, in the form of a limit; nothing before they are tried."""
    if walls is None:
        return {}
    description = (
        "The walls that were seen to hold around conversions; with none, nothing is converted by qemu-img."
    )
    value = walls.names if walls.is_standing else []
    standing = {"description": description, "type": "array", "value": value, "guard": "convert"}
    return {"conversion_walls": standing}
