"""Recovery at start: the imports of an earlier process are undone, kept or taken up again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog

from fetcher.config import Settings
from fetcher.errors import Interrupted, StoreFailed
from fetcher.ids import new_id
from fetcher.importer.context import Context
from fetcher.importer.methods.method import Flow
from fetcher.importer.methods.registry import names_of
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.schedule.queue import Ticket
from fetcher.importer.stages.commit import remove_unneeded
from fetcher.importer.tickets import Origins, ticket_again
from fetcher.index.values import ResumeState, Unfinished
from fetcher.lifecycle import Event
from fetcher.model import Import

log = structlog.get_logger()

# A whole body needs no further request, so this is never sent; it only marks the bytes as ones to go on from.
WHOLE = '"whole"'
LOOP_TURN = 100  # Imports taken up before requests get their turn.
MAX_LINES = 20  # Of one kind in the log of a start; the audit trail has each.

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Found:
    """The imports and downloads to take up.

    Args:
        waiting: Imports without a verdict, oldest first.
        resume_state: Pulls of theirs, by what makes requests equal.
    """

    waiting: list[Ticket]
    resume_state: dict[str, ResumeState]


async def recover(context: Context) -> Found:
    """Remove what nobody needs, put imports without a verdict back into the queue, find their bytes.

    However many imports there are, the index is written a few times only: each
    write waits for the disk.

    Raises:
        StoreFailed: The index or the store refused; nothing is lost, and a later try may go well.
    """
    left = await context.index.recovery.left_behind(names_of({Flow.SEND, Flow.STAGE}))
    for record in left.sent:
        if (address := record.announced) is not None:
            async with context.holding(address):
                await remove_unneeded(context, address)
    waiting = await _tickets_again(left.waiting, context.current.settings)
    resume_state = await _keep_pulls(context, waiting, left.committing)
    await context.index.recovery.take_up(*_interrupted(left.sent))
    _log_found(left.sent, len(waiting), len(resume_state))
    files = {one.staged for one in resume_state.values()}
    for name in await context.store.staged_names():
        if name not in files:
            await context.store.remove_staged(name)
    return Found(waiting=waiting, resume_state=resume_state)


async def _tickets_again(left: Sequence[Unfinished], settings: Settings) -> list[Ticket]:
    origins = Origins(settings)
    tickets: list[Ticket] = []
    async for some in in_turns(left):
        tickets += [ticket_again(one, origins, settings) for one in some]
    return tickets


async def in_turns(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield some at a time, and let requests have their turn between them: there may be ten thousand."""
    for begin in range(0, len(items), LOOP_TURN):
        await asyncio.sleep(0)
        yield items[begin : begin + LOOP_TURN]


def _log_found(sent: Sequence[Import], waiting: int, resumable: int) -> None:
    """Say in the log what was found, at a length that a start can afford."""
    for record in sent[:MAX_LINES]:
        log.info("import.interrupted", import_id=record.id, method=record.method)
    if len(sent) > MAX_LINES:
        log.info("imports.interrupted", count=len(sent))
    if waiting:
        log.info("imports.recovered", count=waiting, resumable=resumable)


def _interrupted(sent: Sequence[Import]) -> tuple[list[Import], datetime]:
    """End what somebody was sending when the process stopped: the senders are gone; and when that was."""
    now, verdict = datetime.now(UTC), verdict_of(Interrupted())
    return [record.ended(Event.FAIL, verdict, now) for record in sent], now


async def _keep_pulls(
    context: Context, waiting: Sequence[Ticket], committing: Sequence[Import]
) -> dict[str, ResumeState]:
    needed = {ticket.request for ticket in waiting}
    resume_state: dict[str, ResumeState] = {}
    unneeded = []
    for one in await context.index.pulls.unfinished():
        if one.request in needed and one.request not in resume_state:
            resume_state[one.request] = one
        else:
            unneeded.append(one.id)
    # Imports that shared a pull had one body.
    whole = {record.id: record for record in committing}
    to_adopt = {ticket.request: whole[ticket.import_id] for ticket in waiting if ticket.import_id in whole}
    for request, record in to_adopt.items():
        with suppress(StoreFailed):  # Its bytes are pulled again then, if the source still has them.
            await _adopt(context, record, request, resume_state)
    # Once for all of them: until then a further start finds them as this one did.
    await context.index.pulls.keep_all([resume_state[name] for name in to_adopt if name in resume_state])
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
