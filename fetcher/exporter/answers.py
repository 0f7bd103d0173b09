"""A receiver's answer as it is kept with the export: few fields, short, printable, without secrets."""

from fetcher.guards.request.redaction import redact_url
from fetcher.transport import CallAnswer, make_printable

RECEIPT = (
    "etag",
    "location",
    "x-amz-version-id",
    "x-amz-checksum-sha256",
    "x-goog-hash",
    "content-md5",
    "x-ms-request-id",
    "docker-content-digest",
)


def receipt(answer: CallAnswer) -> dict[str, str]:
    """Return the status and the fields that name what was taken."""
    found = {name: answer.headers[name] for name in RECEIPT if name in answer.headers}
    if "location" in found:
        found["location"] = redact_url(found["location"])
    return {"status": str(answer.status)} | {name: make_printable(value) for name, value in found.items()}
