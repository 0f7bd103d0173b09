"""What a task says in words, for every state that an import can be in."""

import msgspec
import pytest

from fetcher.api.image_v2.resources.record import TASK_STATUS, image_view, task_view
from fetcher.config import load_settings
from fetcher.index.rows import to_line
from fetcher.index.values import FAILED_IMPORT
from fetcher.lifecycle import State
from fetcher.model import Attempt, Status, Verdict
from tests.index.conftest import START, image, make

SETTINGS = load_settings()
FAILED = Attempt(number=1, started_at=START, code="truncated", reason="The source sent 1 of 2 bytes.")
REFUSED = Verdict(code="too-many-bytes", title="The image is too large.", advice="Use qcow2.")

SAID = {
    "queued": ({"state": State.QUEUED}, "pending", "Waiting in line."),
    "waiting": (
        {"state": State.WAITING, "attempts": (FAILED,)},
        "processing",
        "Trying again after: The source sent 1 of 2 bytes.",
    ),
    "running": (
        {"state": State.RUNNING, "received_bytes": 1_048_576, "expected_bytes": 5_242_880},
        "processing",
        "Received 1,048,576 of 5,242,880 bytes (20 %).",
    ),
    "running without a length": (
        {"state": State.RUNNING, "received_bytes": 7},
        "processing",
        "Received 7 of an unknown number of bytes.",
    ),
    "refused": (
        {"state": State.REFUSED, "verdict": REFUSED, "ended_at": START},
        "failure",
        "too-many-bytes: The image is too large. Use qcow2.",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_a_task_says_what_happens(name: str) -> None:
    """Never "Internal Error": what it waits for, how far it is, or why it ended and what to do."""
    changes, status, message = SAID[name]
    view = task_view(msgspec.structs.replace(make().record, **changes), SETTINGS)
    assert (view["status"], view["message"]) == (status, message)
    assert (view["expires_at"] is None) is ("ended_at" not in changes)


@pytest.mark.parametrize("properties", [{}, {"os_distro": "debian", "a": 'quote " and \\ and }'}], ids=len)
@pytest.mark.parametrize("status", Status)
def test_a_record_is_one_document(status: Status, properties: dict[str, str]) -> None:
    """A list shows custom properties at the top level beside what each has."""
    one = image(status=status, name="n", properties=properties, tags=("x", "y"), import_id="i")
    shown = msgspec.json.decode(image_view(to_line(one)))
    assert properties.items() <= shown.items()
    assert (shown["id"], shown["name"], shown["tags"]) == (one.id, "n", ["x", "y"])
    assert shown["created_at"] == "2026-01-01T00:00:00Z"
    assert (shown["protected"], shown["os_hidden"], shown["size"]) == (False, False, None)
    assert ("stores" in shown) is (status in {Status.ACTIVE, Status.DEACTIVATED})
    assert shown.get("os_glance_import_task") == ("i" if status is Status.IMPORTING else None)


def test_a_failed_import_is_told_by_its_stores() -> None:
    """Clients look for the store's id where the index keeps the reason."""
    one = image(status=Status.QUEUED, properties={FAILED_IMPORT: "truncated: It ended early."})
    shown = msgspec.json.decode(image_view(to_line(one)))
    assert (shown[FAILED_IMPORT], shown[f"{FAILED_IMPORT}_reason"]) == ("fs", "truncated: It ended early.")


def test_every_state_has_a_status() -> None:
    """A new state of imports cannot be forgotten here."""
    assert set(TASK_STATUS) == set(State)
