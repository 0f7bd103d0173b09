"""From what ended an import to what its submitter is told."""

import asyncio
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.advice import advice_for
from fetcher.aio.retry import written
from fetcher.errors import Cancelled, Failure, InternalFault, Rejection
from fetcher.importer.methods.upload_words import SENT, upload_words
from fetcher.importer.records.running_import import RunningImport
from fetcher.index import Index
from fetcher.model import State, Verdict

log = structlog.get_logger()

MOST_CHARACTERS = 500  # Of what the other end said.

OK = Verdict(code="ok", title="The image was imported.")


def verdict_of(failure: Failure) -> Verdict:
    """What the submitter is told: the public form, filled in."""
    public = failure.public()
    fields = public.public_fields()
    title = str(public) if not public.hidden else type(public).title.split(":")[0] + "."
    advice = advice_for(failure)
    if failure.part is not None:
        title = title.replace("The source", f"The source of the {failure.part}", 1)
        title = title if failure.part in title else f"The {failure.part}: {title}"
        advice = f"About the {failure.part}: {advice}"
        fields = {**fields, "part": failure.part}
    return Verdict(code=public.code, title=title, advice=advice, fields=fields)


def _told(failure: Failure, method: str) -> Verdict:
    """Return the verdict in the words of whoever started the import: by a URL, or by sending bytes."""
    verdict = verdict_of(failure)
    words = upload_words(failure) if method in SENT else None
    if words is None:
        return verdict
    return msgspec.structs.replace(verdict, title=words[0], advice=words[1])


def state_of(failure: Failure) -> State:
    """The state that an import ends in; told as the submitter may know it."""
    public = failure.public()
    if isinstance(public, Cancelled):
        return State.CANCELLED
    return State.REFUSED if isinstance(public, Rejection) else State.FAILED


def failure_of(error: BaseException) -> Failure:
    """The table's entry for whatever came out of an import; what is not in the table is a fault of ours."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, asyncio.CancelledError):
        return Cancelled()
    return InternalFault()


def truth_of(failure: Failure) -> dict[str, str]:
    """What the log and the audit trail are told; texts of the other end are cut to a line and escaped."""
    cause = ascii(failure.__cause__)[:MOST_CHARACTERS]
    said = " ".join(getattr(failure, "__notes__", ()))[:MOST_CHARACTERS]
    return {"code": failure.code, "message": str(failure), "cause": cause, **({"said": said} if said else {})}


async def fail(index: Index, running: RunningImport, failure: Failure) -> None:
    """End an import by what befell it: its verdict for the submitter, the whole truth for the log."""
    now = datetime.now(UTC)
    changes = {
        "state": state_of(failure),
        "phase": None,
        "verdict": _told(failure, running.record.method),
        "received_bytes": running.progress.received_bytes,
        "updated_at": now,
        "ended_at": now,
    }
    record = msgspec.structs.replace(running.record, **changes)
    detail = truth_of(failure)
    level = log.error if isinstance(failure, InternalFault) else log.info
    ids = {"import_id": record.id, "image_id": record.image_id, "request_id": record.request_id}
    level("import.ended", state=record.state.value, url=record.submission.url, **ids, **detail)
    if await written(lambda: index.imports.end(record, detail)):
        running.change(**changes)  # Only now: whoever sees an end finds the image as it is after it.
