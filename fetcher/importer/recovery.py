"""What a start finds of the process before it: undone, kept or taken up again."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import structlog

from fetcher.errors import Interrupted, StoreFailed
from fetcher.importer.context import Context
from fetcher.importer.methods.registry import named
from fetcher.importer.records.requests import fingerprint
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.stages.commit import remove_unneeded
from fetcher.index.values import ResumeState, Secrets
from fetcher.lifecycle import Event
from fetcher.model import Import, Phase

log = structlog.get_logger()

# A whole body needs no further request, so this is never sent; it only marks the bytes as ones to go on from.
WHOLE = '"whole"'


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is to be taken up.

    Args:
        waiting: Imports without a verdict, oldest first.
        kept: Pulls of theirs, by what makes requests equal.
    """

    waiting: list[tuple[Import, Secrets]]
    resume_state: dict[str, ResumeState]


async def recover(context: Context) -> Found:
    """Remove what nobody needs, put imports without a verdict back into the queue, find their bytes.

    However many imports there are, the index is written a few times only: each
    write waits for the disk.

    Raises:
        StoreFailed: The index or the store refused; nothing is lost, and a later try may go well.
    """
    left = await context.index.recovery.left_behind()
    sent = [record for record, _secrets in left if named(record.method).is_sent]
    waiting = [(record, secrets) for record, secrets in left if secrets is not None]
    for record in sent:
        if record.phase is Phase.COMMITTING and (sha256 := record.digests.get("sha256")):
            async with context.store.holding(sha256):
                await remove_unneeded(context, sha256)
    resume_state = await _keep_pulls(context, waiting)
    now = datetime.now(UTC)
    await context.index.recovery.take_up([_interrupted(record, now) for record in sent], now)
    for record in sent:
        log.info("import.interrupted", import_id=record.id, method=record.method)
    if waiting:
        log.info("imports.recovered", count=len(waiting), resumable=len(resume_state))
    files = {one.staged for one in resume_state.values()}
    for name in await context.store.staged_names():
        if name not in files:
            await context.store.remove_staged(name)
    return Found(waiting=waiting, resume_state=resume_state)


def _interrupted(record: Import, now: datetime) -> Import:
    """End what somebody was sending when the process stopped: the sender is gone."""
    return record.ended(Event.FAIL, verdict_of(Interrupted()), now)


async def _keep_pulls(context: Context, waiting: Iterable[tuple[Import, Secrets]]) -> dict[str, ResumeState]:
    settings = context.settings()
    requests = {
        record.id: fingerprint(secrets, record.submission, settings, record.project_id)
        for record, secrets in waiting
    }
    needed = set(requests.values())
    resume_state: dict[str, ResumeState] = {}
    unneeded = []
    for one in await context.index.pulls.unfinished():
        if one.request in needed and one.request not in resume_state:
            resume_state[one.request] = one
        else:
            unneeded.append(one.id)
    # Imports that shared a pull had one body.
    committing = {requests[one.id]: one for one, _secrets in waiting if one.phase is Phase.COMMITTING}
    for request, record in committing.items():
        with suppress(StoreFailed):  # Its bytes are pulled again then, if the source still has them.
            await _adopt(context, record, request, resume_state)
    if unneeded:
        await context.index.pulls.drop_all(unneeded)
    return resume_state


async def _adopt(
    context: Context, record: Import, request: str, resume_state: dict[str, ResumeState]
) -> None:
    """Take up a body that was whole when the process was cut off between its last byte and its row.

    It is read, judged and digested again as every body that is taken up; the
    source is not asked, for it may have been one that answers once.
    """
    sha256, size = record.digests.get("sha256"), record.received_bytes
    earlier = resume_state.get(request)
    if not sha256:
        return
    async with context.store.holding(sha256):
        if (
            "received" in record.stages
        ):  # Only what was received can be compared with what was promised: it comes anew.
            await remove_unneeded(context, sha256)
            return
        if not await context.index.maintenance.disown(sha256):
            return  # Another image has these very bytes.
        spare = {one.staged for name, one in resume_state.items() if name != request}
        staged = await context.store.adopt(sha256, size, spare)
    if staged is None:
        return
    whole = msgspec.structs.replace(
        earlier or ResumeState(id=str(uuid4()), request=request),
        staged=staged,
        validator=WHOLE,
        declared_bytes=size,
        kept_bytes=size,
        kept_sha256=sha256,
    )
    await context.index.pulls.keep(whole)
    resume_state[request] = whole
    log.info("blob.adopted", import_id=record.id, sha256=sha256, bytes=size)
