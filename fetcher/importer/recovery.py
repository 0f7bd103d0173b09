"""Recovery at start: the imports of an earlier process are undone, kept or taken up again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog

from fetcher.errors import Interrupted, StoreFailed
from fetcher.ids import new_id
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
LOOP_TURN = 100  # Imports taken up before requests get their turn.
MOST_LINES = 20  # Of one kind in the log of a start; the audit trail has each.

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Found:
    """The imports and downloads to take up.

    Args:
        waiting: Imports without a verdict, oldest first.
        requests: What makes their requests equal, by their ids.
        kept: Pulls of theirs, by what makes requests equal.
    """

    waiting: list[tuple[Import, Secrets]]
    requests: dict[str, str]
    resume_state: dict[str, ResumeState]


async def recover(context: Context) -> Found:
    """Remove what nobody needs, put imports without a verdict back into the queue, find their bytes.

    However many imports there are, the index is written a few times only: each
    write waits for the disk.

    Raises:
        StoreFailed: The index or the store refused; nothing is lost, and a later try may go well.
    """
    sent, waiting = [], []
    async for record, secrets in in_turns(await context.index.recovery.left_behind()):
        if named(record.method).is_sent:
            sent.append(record)
        elif secrets is not None:
            waiting.append((record, secrets))
    for record in sent:
        if (address := record.announced) is not None:
            async with context.holding(address):
                await remove_unneeded(context, address)
    settings = context.current.settings
    requests = {
        record.id: fingerprint(secrets, record.submission, settings, record.project_id)
        async for record, secrets in in_turns(waiting)
    }
    resume_state = await _keep_pulls(context, waiting, requests)
    now = datetime.now(UTC)
    await context.index.recovery.take_up([_interrupted(record, now) for record in sent], now)
    _log_found(sent, len(waiting), len(resume_state))
    files = {one.staged for one in resume_state.values()}
    for name in await context.store.staged_names():
        if name not in files:
            await context.store.remove_staged(name)
    return Found(waiting=waiting, requests=requests, resume_state=resume_state)


async def in_turns(items: Sequence[T]) -> AsyncIterator[T]:
    """Yield each, and let requests have their turn now and then: there may be ten thousand."""
    for number, item in enumerate(items):
        if number % LOOP_TURN == 0:
            await asyncio.sleep(0)
        yield item


def _log_found(sent: Sequence[Import], waiting: int, resumable: int) -> None:
    """Say in the log what was found, at a length that a start can afford."""
    for record in sent[:MOST_LINES]:
        log.info("import.interrupted", import_id=record.id, method=record.method)
    if len(sent) > MOST_LINES:
        log.info("imports.interrupted", count=len(sent))
    if waiting:
        log.info("imports.recovered", count=waiting, resumable=resumable)


def _interrupted(record: Import, now: datetime) -> Import:
    """End what somebody was sending when the process stopped: the sender is gone."""
    return record.ended(Event.FAIL, verdict_of(Interrupted()), now)


async def _keep_pulls(
    context: Context, waiting: Sequence[tuple[Import, Secrets]], requests: dict[str, str]
) -> dict[str, ResumeState]:
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
    # Once for all of them: until then a further start finds them as this one did.
    await context.index.pulls.keep_all([resume_state[name] for name in committing if name in resume_state])
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
    address, size = record.announced, record.received_bytes
    earlier = resume_state.get(request)
    if not address:
        return
    async with context.holding(address):
        if (
            "received" in record.stages
        ):  # Only what was received can be compared with what was promised: it comes anew.
            await remove_unneeded(context, address)
            return
        if not await context.index.maintenance.disown(address):
            return  # Another image has these very bytes.
        spare = {one.staged for name, one in resume_state.items() if name != request}
        staged = await context.store.adopt(address, size, spare)
    if staged is None:
        return
    whole = msgspec.structs.replace(
        earlier or ResumeState(id=new_id(), request=request),
        staged=staged,
        validator=WHOLE,
        declared_bytes=size,
        kept_bytes=size,
        kept_digest=address,
    )
    resume_state[request] = whole
    log.info("blob.adopted", import_id=record.id, address=address, bytes=size)
