"""The bytes of an image of another image service, which the operator gave a name."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.importer.download.remote_record import look_up
from fetcher.importer.methods.method import Flow, ImportMethod, Text
from fetcher.importer.records.running_import import RunningImport
from fetcher.index.values import Secrets
from fetcher.model import Import, RemoteImage, Submission
from fetcher.transport import Gate


class Body(msgspec.Struct, frozen=True):
    """The image and the service that it is in; the interface is taken as the operator named it."""

    glance_region: Text | None = None
    glance_image_id: Text | None = None
    glance_service_interface: Text | None = None


def to_submission(body: Mapping[str, Any], submission: Submission, settings: Settings) -> Submission:
    """Ask for the image's bytes, once its record has been looked up.

    Raises:
        InvalidRequest: The region or the image is missing or malformed.
    """
    remote = _remote(body)
    urls = {entry.region: entry.url for entry in settings.image_api.remotes}
    base = urls.get(remote.region)
    url = f"{base}/v2/images/{remote.image_id}/file" if base else ""
    return msgspec.structs.replace(submission, url=url, remote=remote)


def _remote(body: Mapping[str, Any]) -> RemoteImage:
    if not body["glance_region"] or not body["glance_image_id"]:
        raise InvalidRequest(field="method", reason="glance-download needs glance_region and glance_image_id")
    try:
        image_id = str(UUID(body["glance_image_id"]))
    except ValueError as error:
        reason = f"the remote image id does not look like a UUID: {body['glance_image_id']}"
        raise InvalidRequest(field="method.glance_image_id", reason=reason) from error
    return RemoteImage(region=body["glance_region"], image_id=image_id)


async def prepare(gate: Gate, running: RunningImport, secrets: Secrets, settings: Settings) -> Secrets:
    """Take over what the other service says of the image, and where its bytes are."""
    url = await look_up(gate, running, secrets, settings)
    return msgspec.structs.replace(secrets, url=url)


def shown(record: Import) -> dict[str, Any]:
    """Return the call as it was made."""
    remote = record.submission.remote
    return {"glance_region": remote.region, "glance_image_id": remote.image_id} if remote else {}


METHOD = ImportMethod(
    name="glance-download",
    flow=Flow.FETCH,
    body=Body,
    is_offered=lambda _actor, settings: bool(settings.image_api.remotes),
    to_submission=to_submission,
    prepare=prepare,
    shown=shown,
    takes_token=True,
    unrepeatable_reason="They came from another image service with its caller's token, which is not kept.",
)
