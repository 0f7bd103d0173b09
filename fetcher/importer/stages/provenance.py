"""Provenance: the origin of an image's bytes, as one document that is kept with the image."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.guards import GuardContext, Headroom, Purpose, acting
from fetcher.guards.request.publishers import SIGNED, rule_of, sources_of
from fetcher.importer.schemes.repeat import recorded_source
from fetcher.model import Blob, Hop, Import
from fetcher.transport import authority_digests


def document(
    record: Import, blob: Blob, settings: Settings, *, table_version: str, limits: Mapping[str, object]
) -> dict[str, Any]:
    """Tell the whole story of a finished import; URLs are redacted already.

    Args:
        limits: Those in force, by their names.
        table_version: Which version of the address table judged the addresses.
    """
    return {
        "import_id": record.id,
        "image_id": record.image_id,
        "method": record.method,
        "submitted": {
            "url": record.submission.url,
            "at": record.created_at,
            "project_id": record.project_id,
            "user_id": record.user_id,
            "checksum": str(record.submission.checksum) if record.submission.checksum else None,
            "client_sha256": record.submission.client_sha256,
            "catalogue": msgspec.to_builtins(record.submission.catalogue),
            "ca_sha256": authority_digests(pem) if (pem := record.submission.ca_pem) else [],
            **({"disk": record.submission.disk} if record.submission.disk else {}),
            **({"source": source} if (source := recorded_source(record.submission)) is not None else {}),
        },
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "attempts": [
            {
                **msgspec.to_builtins(msgspec.structs.replace(attempt, truth=None)),
                "hops": shown_hops(attempt.hops, settings),
            }
            for attempt in record.attempts
        ],
        "bytes": blob.size,
        "digests": blob.digests,
        "stages": record.stages,
        "verified_by": record.verified_by,
        "sums_signature": record.sums_signature,
        "publisher": _publisher(record, settings),
        "length_verified": record.length_verified,
        "format": msgspec.to_builtins(record.format),
        "guards": acting(_context(record, settings)),
        "address_table": table_version,
        "limits": limits,
    }


def _publisher(record: Import, settings: Settings) -> dict[str, Any] | None:
    """Return the operator's rule on the source's publisher, and whether it was kept to."""
    if record.submission.remote or not settings.publisher.rules:
        return None
    rule = rule_of(sources_of(record.submission), settings)
    if rule is None:
        return None
    return {"name": rule.name, "required": rule.required, "is_signed": record.verified_by in SIGNED}


def _context(record: Import, settings: Settings) -> GuardContext:
    """Tell what the bytes were judged by."""
    return GuardContext(
        purpose=Purpose.of_method(record.method),
        settings=settings,
        submission=record.submission,
        headroom=Headroom(quota_bytes=0, used_bytes=0),
    )


def shown_hops(hops: Iterable[Hop], settings: Settings) -> list[dict[str, Any]]:
    """Return the requests of a chain, as a submitter may see them.

    The address behind a name that was refused or did not answer would map the
    inner network, and one that a proxy has is the operator's own.
    """
    shown = []
    for hop in hops:
        is_public = hop.status is not None and not settings.egress.proxy
        public = hop if is_public else msgspec.structs.replace(hop, address=None, port=None)
        shown.append(msgspec.to_builtins(public))
    return shown
