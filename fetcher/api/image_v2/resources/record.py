"""An image record, a member and a task as the Image API shows them."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from fetcher.config import Settings
from fetcher.importer.methods.method import Flow
from fetcher.importer.methods.registry import named, names_of
from fetcher.index.values import FAILED_IMPORT, ImageLine
from fetcher.lifecycle import State
from fetcher.model import Import, Member, Status

STORE = "fs"
HASH = "sha512"
IMPORTING = "os_glance_importing_to_stores"

TASK_STATUS = {
    State.QUEUED: "pending",
    State.RUNNING: "processing",
    State.WAITING: "processing",
    State.SUCCEEDED: "success",
    State.REFUSED: "failure",
    State.FAILED: "failure",
    State.CANCELLED: "failure",
}


def task_methods() -> tuple[str, ...]:
    """Return whose imports are tasks; a body that is sent gets its answer on the spot."""
    return names_of({Flow.FETCH, Flow.STAGED})


def moment(value: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return value.isoformat()[:19] + "Z"


class _Shown(msgspec.Struct, gc=False):
    """A record without its custom properties, in the order that it is shown in; made by place: quickest."""

    id: str
    name: str | None
    status: str
    visibility: str
    protected: bool
    os_hidden: bool
    owner: str
    disk_format: str | None
    container_format: str | None
    size: int | None
    virtual_size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    min_disk: int
    min_ram: int
    tags: msgspec.Raw
    created_at: str
    updated_at: str
    self: str
    file: str
    schema: str
    stores: str | msgspec.UnsetType


_ENCODE = msgspec.json.Encoder().encode
_STORED = frozenset({Status.ACTIVE.value, Status.DEACTIVATED.value})


def image_view(line: ImageLine) -> msgspec.Raw:
    """Return the whole record as JSON; custom properties stand at the top level."""
    path = f"/v2/images/{line.id}"
    is_stored = line.status in _STORED
    shown = _ENCODE(
        _Shown(
            line.id,
            line.name,
            line.status,
            line.visibility,
            line.is_protected == 1,
            line.is_hidden == 1,
            line.project_id,
            line.disk_format,
            line.container_format,
            line.staged_bytes if line.size is None else line.size,
            line.virtual_size,
            line.md5,
            HASH if line.sha512 else None,
            line.sha512,
            line.min_disk,
            line.min_ram,
            msgspec.Raw(line.tags),
            f"{line.created_at[:19]}Z",
            f"{line.updated_at[:19]}Z",
            path,
            f"{path}/file",
            "/v2/schemas/image",
            STORE if is_stored else msgspec.UNSET,
        )
    )
    # As nearly all of a list are, they are not looked into.
    is_plain = is_stored and FAILED_IMPORT not in line.properties
    properties = line.properties.encode() if is_plain else _ENCODE(_properties(line))
    return msgspec.Raw(shown if properties == b"{}" else b"%b,%b" % (properties[:-1], shown[1:]))


def _properties(line: ImageLine) -> dict[str, str]:
    """Return the custom properties, with the stores that an import writes to, or failed to, by their ids."""
    shown = msgspec.json.decode(line.properties, type=dict[str, str])
    if FAILED_IMPORT in shown:
        shown[f"{FAILED_IMPORT}_reason"] = shown[FAILED_IMPORT]
        shown[FAILED_IMPORT] = STORE
        shown[IMPORTING] = ""
    if line.status == Status.IMPORTING.value:
        shown |= {IMPORTING: STORE, FAILED_IMPORT: "", "os_glance_import_task": line.import_id or ""}
    return shown


def member_view(member: Member) -> dict[str, Any]:
    """Return a project that an image is shared with."""
    return {
        "image_id": member.image_id,
        "member_id": member.member_id,
        "status": member.status,
        "created_at": moment(member.created_at),
        "updated_at": moment(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def task_view(record: Import, settings: Settings) -> dict[str, Any]:
    """Return an import as a task, with what it is doing and how it ended in words."""
    expires = None
    if record.ended_at is not None:
        expires = moment(record.ended_at + timedelta(days=settings.imports.keep_finished_days))
    return {
        "id": record.id,
        "type": "api_image_import",
        "status": TASK_STATUS[record.state],
        "owner": record.project_id,
        "user_id": record.user_id,
        "request_id": record.request_id,
        "image_id": record.image_id,
        "input": {"image_id": record.image_id, "import_req": {"method": _method(record)}, "backend": [STORE]},
        "result": {"image_id": record.image_id, **_progress(record)},
        "message": _message(record),
        "expires_at": expires,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "self": f"/v2/tasks/{record.id}",
        "schema": "/v2/schemas/task",
    }


def _method(record: Import) -> dict[str, Any]:
    return {"name": record.method, **named(record.method).shown(record)}


def _progress(record: Import) -> dict[str, Any]:
    return {
        "state": record.state,
        "phase": record.phase,
        "code": record.verdict.code if record.verdict else None,
        "received_bytes": record.received_bytes,
        "expected_bytes": record.expected_bytes,
        "percent": _percent(record),
    }


def _percent(record: Import) -> float | None:
    if not record.expected_bytes:
        return None
    return round(min(100.0, 100 * record.received_bytes / record.expected_bytes), 1)


def _message(record: Import) -> str:
    if record.verdict is not None:
        code = "" if record.verdict.code == "ok" else f"{record.verdict.code}: "
        return f"{code}{record.verdict.title} {record.verdict.advice}".strip()
    if record.state is State.WAITING and record.attempts:
        return f"Trying again after: {record.attempts[-1].reason}"
    if record.state is State.QUEUED:
        return "Waiting in line."
    expected = "an unknown number of" if record.expected_bytes is None else f"{record.expected_bytes:,}"
    percent = _percent(record)
    share = "" if percent is None else f" ({percent:g} %)"
    return f"Received {record.received_bytes:,} of {expected} bytes{share}."
