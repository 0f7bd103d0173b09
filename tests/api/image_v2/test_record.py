"""What a task says in words, for every state that an import can be in."""

import msgspec
import pytest

from fetcher.api.image_v2.record import TASK_STATUS, task_view
from fetcher.config import load_settings
from fetcher.lifecycle import State
from fetcher.model import Attempt, Verdict
from tests.index.conftest import START, make

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


def test_every_state_has_a_status() -> None:
    """A new state of imports cannot be forgotten here."""
    assert set(TASK_STATUS) == set(State)
