"""The image that an import makes for itself."""

from datetime import datetime
from uuid import uuid4

from fetcher.model import Actor, Image, Status, Submission


def new_image(actor: Actor, submission: Submission, now: datetime) -> Image:
    """Return the record of an image whose bytes an import is about to bring."""
    return Image(
        id=str(uuid4()),
        project_id=actor.project_id,
        name=submission.name,
        status=Status.IMPORTING,
        visibility=submission.visibility,
        disk_format=submission.disk_format,
        container_format=submission.container_format,
        min_disk=submission.min_disk,
        min_ram=submission.min_ram,
        tags=submission.tags,
        properties=submission.properties,
        created_at=now,
        updated_at=now,
    )
