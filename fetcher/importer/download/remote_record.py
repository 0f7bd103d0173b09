"""An image of another image service: what its record says, before its bytes are asked for."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.errors import InvalidRequest, RemoteImageUnusable, RemoteUnknown
from fetcher.guards.stream.checksum import parse_digest
from fetcher.importer.records.running_import import RunningImport
from fetcher.index.values import Secrets
from fetcher.model import Digest, RemoteImage, is_property
from fetcher.transport import Gate, SourceRequest

MAX_RECORD_BYTES = 1_048_576


class RemoteRecord(msgspec.Struct, frozen=True):
    """The parts of another service's record that matter here."""

    status: str
    disk_format: str | None = None
    container_format: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    checksum: str | None = None


def remote_url(remote: RemoteImage, settings: Settings) -> str:
    """Return where the image's record is.

    Raises:
        RemoteUnknown: The operator named no service that way.
    """
    return f"{remote_base(remote.region, settings)}/v2/images/{remote.image_id}"


def remote_base(region: str, settings: Settings) -> str:
    """Return where a service is that the operator gave a name.

    Raises:
        RemoteUnknown: There is none of that name.
    """
    remotes = {entry.region: entry.url for entry in settings.image_api.remotes}
    if region not in remotes:
        raise RemoteUnknown(region=region, known=sorted(remotes))
    return remotes[region]


async def look_up(gate: Gate, running: RunningImport, secrets: Secrets, settings: Settings) -> str:
    """Take over what the other service says of the image: formats, digest, some properties.

    Nothing of it is believed: the formats are a claim that the bytes have to
    meet, the digest one that they have to have. Returns where the bytes are.

    Raises:
        RemoteUnknown: The operator named no service that way.
        RemoteImageUnusable: There are no bytes to take, or the record is none.
        Failure: Any of the table's that a source can end in.
    """
    submission = running.record.submission
    assert submission.remote is not None
    request = SourceRequest(
        url=remote_url(submission.remote, settings),
        headers=secrets.headers,
        project=running.record.project_id,
    )
    text = await _read_record(gate, request, submission.remote, settings)
    try:
        values = msgspec.json.decode(text, type=dict[str, Any])
        found = msgspec.convert(values, RemoteRecord)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unusable(submission.remote, "the answer is no image record") from error
    if found.status != "active":
        raise _unusable(submission.remote, f"its status is {found.status[:20]}")
    running.change(
        submission=msgspec.structs.replace(
            submission,
            disk_format=found.disk_format,
            container_format=found.container_format,
            checksum=_digest(found, settings),
            checksum_source="remote",
            copied_properties=_copied(values, settings),
        )
    )
    return f"{request.url}/file"


async def _read_record(gate: Gate, request: SourceRequest, remote: RemoteImage, settings: Settings) -> bytes:
    """Read the record whole: small, and within the time that any small file has."""
    text = bytearray()
    try:
        async with (
            asyncio.timeout(settings.sums.total_seconds),
            gate.open(request, settings, lambda _hop: None) as source,
        ):
            while chunk := await source.read():
                text += chunk
                if len(text) > MAX_RECORD_BYTES:
                    raise _unusable(remote, "its record is too large")
    except TimeoutError as error:
        raise _unusable(remote, "its record does not arrive") from error
    return bytes(text)


def _unusable(remote: RemoteImage, reason: str) -> RemoteImageUnusable:
    return RemoteImageUnusable(region=remote.region, reason=reason)


def _digest(found: RemoteRecord, settings: Settings) -> Digest | None:
    """Return what the bytes have to have: the MD5 only where an old record shows nothing better."""
    for text in (f"{found.os_hash_algo}:{found.os_hash_value}", f"md5:{found.checksum}"):
        with suppress(InvalidRequest):
            return parse_digest(text, settings)
    return None


def _copied(values: dict[str, Any], settings: Settings) -> dict[str, str]:
    wanted = tuple(settings.image_api.copied_properties)
    found = {
        name: value
        for name, value in values.items()
        if name.startswith(wanted) and is_property(name) and isinstance(value, str) and len(value) <= 65_535
    }
    return dict(sorted(found.items())[: settings.image_api.max_properties])
