"""The values of exports: an image on its way to a receiver."""

from datetime import datetime
from typing import Self

import msgspec

from fetcher.lifecycle import ENDS, Event, State, next_state
from fetcher.model import Verdict

SENT = Verdict(code="ok", title="The receiver has the image.")
CANCELLED = Verdict(code="cancelled", title="The export was cancelled.")


class ExportAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at sending, and how it ended.

    Args:
        number: From 1.
        code: None while it runs, `ok`, or the code of its failure.
    """

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    code: str | None = None
    sent_bytes: int = 0
    wait_seconds: float = 0.0


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is sent to a receiver: the same states as an import's.

    Args:
        receiver: Its URL as it may be shown.
        sender: How it is sent: a name of the registry of senders.
        claim: Of the run that may write; a later one takes it away.
        size: Of the bytes to send; counts against the project's day from the submission on.
        sha256: Of the same bytes.
        answer: What the receiver said of them: `etag`, `status` and the like.
    """

    id: str
    image_id: str
    project_id: str
    user_id: str
    receiver: str
    sender: str
    size: int
    sha256: str
    created_at: datetime
    updated_at: datetime
    state: State = State.QUEUED
    claim: int = 0
    sent_bytes: int = 0
    attempts: tuple[ExportAttempt, ...] = ()
    answer: dict[str, str] = {}
    verdict: Verdict | None = None
    request_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def moved(self, event: Event, now: datetime, **changes: object) -> Self:
        """Return what follows an event.

        Raises:
            IllegalMove: The table has no such move.
        """
        ended = {"ended_at": now} if event in ENDS else {}
        return msgspec.structs.replace(
            self, state=next_state(self.state, event), updated_at=now, **ended, **changes
        )


class ReceiverSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of an export, gone once it has ended.

    Args:
        url: With its secrets.
        headers: The submitter's own, such as those that a signed URL names.
    """

    url: str
    headers: dict[str, str] = {}
