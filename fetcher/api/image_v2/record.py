"""An image record, a member and a task as the Image API shows them."""

from datetime import datetime, timedelta
from typing import Any

from fetcher.config import Settings
from fetcher.importer.methods.method import Flow
from fetcher.importer.methods.registry import named, names_of
from fetcher.index.values import FAILED_IMPORT
from fetcher.lifecycle import State
from fetcher.model import Image, Import, Member, Status

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
# An attribute of an enumeration is looked up by a function each time (Python 3.11).
_ACTIVE, _DEACTIVATED = Status.ACTIVE, Status.DEACTIVATED


def task_methods() -> tuple[str, ...]:
    """Return whose imports are tasks; a body that is sent gets its answer on the spot."""
    return names_of({Flow.FETCH, Flow.STAGED})


def moment(value: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return value.isoformat()[:19] + "Z"


def image_view(image: Image) -> dict[str, Any]:
    """Return the whole record; custom properties stand at the top level."""
    path = f"/v2/images/{image.id}"
    status = image.status
    is_plain = status is _ACTIVE and FAILED_IMPORT not in image.properties  # As nearly all of a list are.
    view: dict[str, Any] = {
        **(image.properties if is_plain else _properties(image)),
        "id": image.id,
        "name": image.name,
        "status": status,
        "visibility": image.visibility,
        "protected": image.is_protected,
        "os_hidden": image.is_hidden,
        "owner": image.project_id,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.staged_bytes if image.size is None else image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.md5,
        "os_hash_algo": HASH if image.sha512 else None,
        "os_hash_value": image.sha512,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "tags": image.tags,
        "created_at": moment(image.created_at),
        "updated_at": moment(image.updated_at),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }
    if status is _ACTIVE or status is _DEACTIVATED:
        view["stores"] = STORE
    return view


def _properties(image: Image) -> dict[str, str]:
    """Return the custom properties, with the stores that an import writes to, or failed to, by their ids."""
    shown = dict(image.properties)
    if FAILED_IMPORT in shown:
        shown[f"{FAILED_IMPORT}_reason"] = shown[FAILED_IMPORT]
        shown[FAILED_IMPORT] = STORE
        shown[IMPORTING] = ""
    if image.status is Status.IMPORTING:
        shown |= {IMPORTING: STORE, FAILED_IMPORT: "", "os_glance_import_task": image.import_id or ""}
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
