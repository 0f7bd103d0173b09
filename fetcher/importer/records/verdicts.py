"""From the failure that ended an import to the verdict for its submitter."""

import msgspec
import structlog

from fetcher.advice import advice_for
from fetcher.aio.retry import retry_write
from fetcher.errors import Cancelled, Failure, InternalFault, Rejection
from fetcher.importer.lifecycle import end
from fetcher.importer.records.running_import import RunningImport
from fetcher.index.protocol import Index
from fetcher.lifecycle import Event
from fetcher.model import Import, Verdict

log = structlog.get_logger()

MAX_CHARACTERS = 500  # Of what the other end said.

OK = Verdict(code="ok", title="The image was imported.")
DELIVERED = Verdict(code="ok", title="The image is active at the target image service.")


def verdict_of(failure: Failure) -> Verdict:
    """Return the verdict for the submitter: the public form of the failure, filled in."""
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


def _worded(failure: Failure, words: tuple[str, str] | None) -> Verdict:
    """Return the verdict in words that fit how the import began: by a URL, or by sent bytes."""
    verdict = verdict_of(failure)
    if words is None:
        return verdict
    return msgspec.structs.replace(verdict, title=words[0], advice=words[1])


def end_of(failure: Failure) -> Event:
    """Return how an import ends by a failure, as the submitter may know it."""
    public = failure.public()
    if isinstance(public, Cancelled):
        return Event.CANCEL
    return Event.REFUSE if isinstance(public, Rejection) else Event.FAIL


def truth_of(failure: Failure) -> dict[str, str]:
    """Return the facts for log and audit trail; texts of the other end are cut to a line and escaped."""
    cause = ascii(failure.__cause__)[:MAX_CHARACTERS]
    said = " ".join(getattr(failure, "__notes__", ()))[:MAX_CHARACTERS]
    return {"code": failure.code, "message": str(failure), "cause": cause, **({"said": said} if said else {})}


def hidden_of(failure: Failure | None) -> dict[str, str] | None:
    """Return what really ended an attempt, for administrators; None where the public form says it."""
    if failure is None or failure.public() is failure:
        return None
    return {"code": failure.code, "message": str(failure)[:MAX_CHARACTERS]}


async def fail(
    index: Index, running: RunningImport, failure: Failure, *, words: tuple[str, str] | None = None
) -> None:
    """End an import by a failure: the verdict for its submitter, the whole truth for the log.

    Args:
        words: Title and advice, where the method has its own.
    """
    detail = truth_of(failure)
    level = log.error if isinstance(failure, InternalFault) else log.info

    async def write(record: Import) -> bool:
        ids = {"import_id": record.id, "image_id": record.image_id, "request_id": record.request_id}
        level("import.ended", state=record.state.value, url=record.submission.url, **ids, **detail)
        return await retry_write(lambda: index.imports.end(record, detail))

    verdict = _worded(failure, words)
    received = running.progress.received_bytes
    await end(running, end_of(failure), verdict, write, received_bytes=received)
