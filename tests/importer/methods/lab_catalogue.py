"""A toy import method, as somebody would add one: the bytes of an entry of a catalogue."""

from collections.abc import Mapping
from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.errors import InvalidRequest
from fetcher.importer.methods.method import Flow, ImportMethod, Text
from fetcher.model import Submission


class Body(msgspec.Struct, frozen=True):
    """Which entry."""

    entry: Text | None = None


def method(catalogue: str) -> ImportMethod:
    """Make the method for a catalogue at a URL."""

    def to_submission(body: Mapping[str, Any], submission: Submission, _settings: Settings) -> Submission:
        if not body["entry"]:
            raise InvalidRequest(field="method.entry", reason="lab-catalogue needs an entry")
        return msgspec.structs.replace(submission, url=f"{catalogue}/{body['entry']}")

    return ImportMethod(
        name="lab-catalogue",
        flow=Flow.FETCH,
        body=Body,
        is_offered=lambda actor, _settings: actor.project_id == "a",
        to_submission=to_submission,
        shown=lambda record: {"entry": record.submission.url.rpartition("/")[2]},
    )
