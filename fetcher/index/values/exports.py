"""The values of exports: an image on its way to a receiver."""

from datetime import datetime
from typing import Any, Literal, Self

import msgspec

from fetcher.lifecycle import ENDS, Event, State, next_state
from fetcher.model import BucketAccess, Verdict

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


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The way in which an image is sent.

    Args:
        format: What it is converted to on its way out; None sends it as it is kept.
        layout: Of an image in a registry: a file, or a tar that KubeVirt boots from.
        replace: Whether what the receiver has under the same name may be replaced.
        verify: Whether the bytes are read back from the receiver.
    """

    format: str | None = None
    layout: Literal["artifact", "containerdisk"] = "artifact"
    replace: bool = False
    verify: bool = False


class ReadBack(msgspec.Struct, frozen=True, kw_only=True):
    """The result of reading the bytes back from the receiver; other bytes are a failure instead.

    Args:
        reason: Why it was not possible.
    """

    result: Literal["matched", "not-possible"]
    reason: str = ""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is sent to a receiver: the same states as an import's.

    Args:
        receiver: Its URL as it may be shown.
        sender: How it is sent: a name of the registry of senders.
        claim: Of the run that may write; a later one takes it away.
        size: Of the bytes to send; counts against the project's day from the submission on.
        sha256: Of the same bytes; empty until it is computed.
        answer: What the receiver said of them: `etag`, `status` and the like.
        options: As submitted.
        read_back: What the receiver gave back, where that was asked for.
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
    options: ExportOptions = ExportOptions()
    read_back: ReadBack | None = None
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


class ExportBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on exports, judged where one is written.

    Args:
        max_waiting: That wait or run, of all projects.
        max_bytes: That one project sends from `since` on.
        max_made: That one project makes from `since` on, whatever became of them.
    """

    max_waiting: int
    max_bytes: int
    max_made: int
    since: datetime


class PartUrls(msgspec.Struct, frozen=True, kw_only=True):
    """URLs that are signed for the parts of one upload.

    Args:
        urls: In the order of the parts.
        part_bytes: Of every part but the last.
        abort_url: Takes a DELETE that drops the upload.
    """

    urls: tuple[str, ...]
    part_bytes: int
    abort_url: str | None = None


class ReceiverAccess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The credentials for a receiver, beyond headers.

    Args:
        s3: Of a bucket.
        parts: Of an upload in parts.
        token: Of an image service.
        read_url: Where the bytes are read back, where the receiver's own URL takes no GET.
    """

    s3: BucketAccess | None = None
    parts: PartUrls | None = None
    token: str | None = None
    read_url: str | None = None


class ReceiverSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of an export, gone once it has ended.

    Args:
        url: With its secrets.
        headers: The submitter's own, such as those that a signed URL names.
        access: The submitter's credentials.
        resume: How far the sender is with this receiver: an upload's id, parts that were answered.
    """

    url: str
    headers: dict[str, str] = {}
    access: ReceiverAccess = ReceiverAccess()
    resume: dict[str, Any] = {}
