"""A webhook's message, and its signature, by which receivers know that it was us."""

from datetime import UTC, datetime

import msgspec

from fetcher.config import Settings
from fetcher.guards.request.notify import signature
from fetcher.model import Import
from fetcher.transport import SourceRequest


def request_of(record: Import, url: str, secret: str | None, settings: Settings) -> SourceRequest:
    """Return the request of a notification; each attempt has its own timestamp, and all have one id.

    Source: Standard Webhooks, "Webhook headers".
    """
    body = msgspec.json.encode(message(record, settings.server.public_url))
    now = int(datetime.now(UTC).timestamp())
    headers = {"webhook-id": record.id, "webhook-timestamp": str(now)}
    if secret is not None:
        headers["webhook-signature"] = signature(secret, record.id, now, body)
    return SourceRequest(url=url, headers=headers, body=body, project=record.project_id)


def message(record: Import, base: str) -> dict[str, object]:
    """Return the body of a notification: what the submitter may see, short, and without secrets.

    Args:
        base: What links begin with; without it they are paths.

    Source: Standard Webhooks, "Payload structure".
    """
    verdict, form = record.verdict, record.format
    return {
        "type": f"import.{record.state.value}",
        "timestamp": record.ended_at,
        "data": {
            "import_id": record.id,
            "image_id": record.made_image_id,
            "target_image_id": record.delivery.image_id if record.delivery else None,
            "project_id": record.project_id,
            "state": record.state.value,
            "code": verdict.code if verdict else None,
            "title": verdict.title if verdict else None,
            "advice": verdict.advice if verdict else None,
            "url": record.submission.url,
            "name": record.submission.name,
            "size": record.received_bytes,
            "disk_format": form.disk_format if form else None,
            "container_format": form.container_format if form else None,
            "digests": record.digests,
            "verified_by": record.verified_by,
            "created_at": record.created_at,
            "ended_at": record.ended_at,
            "links": {
                "import": f"{base}/imports/{record.id}",
                "image": f"{record.home_url or base}/v2/images/{record.made_image_id}",
            },
        },
    }
