"""The bytes of a URL that the submitter names."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.stream.checksum import read_digest
from fetcher.importer.methods.method import Flow, ImportMethod, Text
from fetcher.model import Import, Submission


class Body(msgspec.Struct, frozen=True):
    """The place of the bytes.

    Args:
        checksum: ALGORITHM:HEX that they must have; ours, as are the following.
        disk: Which disk of an archive: its name, or its number from 1.
        convert_to: The format that the image is to have in the end.
    """

    uri: str | None = None
    checksum: Text | None = None
    disk: Text | None = None
    convert_to: Literal["as-received", "raw", "qcow2"] | None = None


def to_submission(body: Mapping[str, Any], submission: Submission, settings: Settings) -> Submission:
    """Ask for the URL.

    Raises:
        InvalidRequest: There is none, or the checksum is malformed.
    """
    if not body["uri"]:
        raise InvalidRequest(field="method.uri", reason="web-download needs the uri of the image")
    checksum = body["checksum"]
    return msgspec.structs.replace(
        submission,
        url=body["uri"],
        checksum=read_digest(checksum.strip(), settings) if checksum is not None else None,
        disk=body.get("disk") or submission.disk,
        convert_to=body.get("convert_to") or submission.convert_to,
    )


def shown(record: Import) -> dict[str, Any]:
    """Return the call as it was made."""
    submission = record.submission
    asked = {"disk": submission.disk, "convert_to": submission.convert_to}
    return {"uri": submission.url, **{name: value for name, value in asked.items() if value}}


METHOD = ImportMethod(
    name="web-download",
    flow=Flow.FETCH,
    body=Body,
    is_offered=lambda _actor, _settings: True,
    to_submission=to_submission,
    shown=shown,
    is_shared=True,
)
