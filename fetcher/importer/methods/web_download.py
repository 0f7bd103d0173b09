"""The bytes of a URL that the submitter names."""

from collections.abc import Mapping
from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.guards.stream.checksum import parse_digest
from fetcher.importer.methods.method import Flow, ImportMethod, Text
from fetcher.model import Submission


class Body(msgspec.Struct, frozen=True):
    """Where the bytes are.

    Args:
        checksum: ALGORITHM:HEX that they must have; ours, not the reference's.
    """

    uri: str | None = None
    checksum: Text | None = None


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
        checksum=parse_digest(checksum.strip(), settings) if checksum is not None else None,
    )


METHOD = ImportMethod(
    name="web-download",
    flow=Flow.FETCH,
    body=Body,
    is_offered=lambda _actor, _settings: True,
    to_submission=to_submission,
    shown=lambda record: {"uri": record.submission.url},
    is_shared=True,
)
