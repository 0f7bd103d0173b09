"""One import, from submission to verdict."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from fetcher.lifecycle import ENDS, Event, IllegalMove, State, next_state
from fetcher.model.base import Value
from fetcher.model.findings import Attempt, FormatVerdict
from fetcher.model.submissions import Submission


class Phase(StrEnum):
    """The phase of a running import."""

    CONNECTING = "connecting"
    PULLING = "pulling"
    VERIFYING = "verifying"
    CONVERTING = "converting"
    DELIVERING = "delivering"
    COMMITTING = "committing"


class Verdict(Value, frozen=True, kw_only=True):
    """The verdict of an import.

    Args:
        code: `ok`, or a code of the table of errors.
        fields: The facts that the submitter may see.
    """

    code: str
    title: str
    advice: str = ""
    fields: dict[str, Any] = {}


class Notice(Value, frozen=True, kw_only=True):
    """The state of an import's webhook.

    Args:
        attempts: Made so far; none before the import has ended.
        at: When the last one ended.
        next_at: When the next one begins; None when there is none.
        status: Of the last answer; None when none came.
        code: Why the last attempt came to nothing, as the submitter may know it.
    """

    state: Literal["pending", "delivered", "given-up"] = "pending"
    attempts: int = 0
    at: datetime | None = None
    next_at: datetime | None = None
    status: int | None = None
    code: str | None = None


class Delivery(Value, frozen=True, kw_only=True):
    """The progress of an image on its way into the target image service.

    Args:
        url: Of the service.
        image_id: There.
        is_made: Its record there is of our making, and goes again if nothing comes of it.
        status: Of the image there, as last seen; `left` where it could not be removed again.
        sent_bytes: Of the image, in the attempt that runs or ran last.
        size: Of the image in bytes.
        is_away: The image is there alone: nothing of it stayed here.
    """

    url: str
    image_id: str
    is_away: bool = False
    is_made: bool = False
    status: str | None = None
    sent_bytes: int = 0
    size: int | None = None


class Import(Value, frozen=True, kw_only=True):
    """One import, from submission to verdict.

    Args:
        sums_signature: What the signature on the checksum file is worth: `good`, or why it proves nothing;
            None where it has none, or was not compared with.
        length_verified: False where the source did not say where its body ends, so that a broken connection
            looks like the end; None before it has answered.
        received_bytes: As they came, packed if they were.
        digests: Of what is kept: those of the image.
        address: Under which its bytes are about to be committed, or were.
        stages: What was done to the received bytes, by stage; empty where they are kept as they came.
        delivery: On its way into the target image service; None where there is none.
    """

    id: str
    image_id: str
    project_id: str
    user_id: str
    method: str
    submission: Submission
    state: State
    phase: Phase | None = None
    claim: int = 0
    received_bytes: int = 0
    expected_bytes: int | None = None
    bytes_per_second: float | None = None
    attempts: tuple[Attempt, ...] = ()
    format: FormatVerdict | None = None
    digests: dict[str, str] = {}
    address: str | None = None
    verified_by: str = "none"
    sums_signature: str | None = None
    length_verified: bool | None = None
    stages: dict[str, Any] = {}
    delivery: Delivery | None = None
    verdict: Verdict | None = None
    notice: Notice | None = None
    owns_image: bool = True
    request_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    updated_at: datetime
    ended_at: datetime | None = None

    def moved(self, event: Event, now: datetime, **changes: Any) -> "Import":
        """Return the record after an event that leaves work to be done.

        Raises:
            IllegalMove: It has ended, or the table has no such move.
        """
        if event in ENDS:
            raise IllegalMove(self.state, event)  # An end has a verdict: see `ended`.
        state = next_state(self.state, event)
        return msgspec.structs.replace(self, **changes, state=state, updated_at=now)

    def ended(self, event: Event, verdict: Verdict, now: datetime, **changes: Any) -> "Import":
        """Return the record after its end; the one way in which any import ends.

        Raises:
            IllegalMove: It has ended before, or the event is no end.
        """
        if event not in ENDS:
            raise IllegalMove(self.state, event)
        return msgspec.structs.replace(
            self,
            **changes,
            state=next_state(self.state, event),
            phase=None,
            verdict=verdict,
            updated_at=now,
            ended_at=now,
        )

    @property
    def is_away(self) -> bool:
        """Return whether the image that it made is at the target alone."""
        return self.delivery is not None and self.delivery.is_away

    @property
    def home_url(self) -> str | None:
        """Return the image service that has its image, where that is not this one."""
        return self.delivery.url if self.delivery is not None and self.is_away else None

    @property
    def made_image_id(self) -> str:
        """Return the id of its image, where that is."""
        return self.delivery.image_id if self.delivery is not None and self.is_away else self.image_id

    @property
    def announced(self) -> str | None:
        """Return which blob may be there without a row; earlier versions named it by its sha256."""
        return (self.address or self.digests.get("sha256")) if self.phase is Phase.COMMITTING else None

    @property
    def received_digests(self) -> dict[str, str]:
        """Return the digests of what was received, of which promises speak."""
        found: dict[str, str] = self.stages.get("received", {}).get("digests", self.digests)
        return found
